"""What `--check` yields: one `Finding` for each thing that it checked, made by the `Area` that the thing belongs to."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, BROKEN = "ok", "warning", "broken"
UNCHECKED = "not_checked"  # could not be checked, mostly because of another finding
INTERRUPTED = "interrupted"  # the name of an unchecked finding: the check was stopped before the end of this area


@dataclass(frozen=True, slots=True)
class Finding:
    """`area` and `name` are stable and English. `text` and `advice` are Spanish; `advice` may have several lines, among
    them SQL or a command to copy."""

    area: str
    name: str
    level: str
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """One part of what a run needs. Its methods make findings."""

    name: str

    def ok(self, name: str, text: str) -> Finding:
        return Finding(self.name, name, OK, text)

    def warning(self, name: str, text: str, advice: str) -> Finding:
        return Finding(self.name, name, WARNING, text, advice)

    def broken(self, name: str, text: str, advice: str) -> Finding:
        return Finding(self.name, name, BROKEN, text, advice)

    def unchecked(self, reason: str, name: str = "all") -> Finding:
        return Finding(self.name, name, UNCHECKED, reason)


SETTINGS, MACHINE, DATABASE, TABLES = Area("settings"), Area("machine"), Area("database"), Area("tables")
ROSTER, PHOTOS, MODEL, RUNS = Area("roster"), Area("photos"), Area("model"), Area("runs")
IN_ORDER = (SETTINGS, MACHINE, DATABASE, TABLES, ROSTER, PHOTOS, MODEL, RUNS)
