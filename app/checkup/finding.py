"""What `--check` finds: one `Finding` for each thing looked at, told by the `Area` that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, BROKEN = "ok", "warning", "broken"
UNCHECKED = "not_checked"  # what it depends on is broken: nobody can say
INTERRUPTED = "interrupted"  # the name of what was not looked at, or not to its end, for being told to stop


@dataclass(frozen=True, slots=True)
class Finding:
    """`area` and `name` are stable and English; `text` and `advice` (what to do, several lines perhaps) are Spanish."""

    area: str
    name: str
    level: str
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of what a run needs."""

    name: str

    def ok(self, name: str, text: str) -> Finding:
        return Finding(self.name, name, OK, text)

    def warning(self, name: str, text: str, advice: str) -> Finding:
        return Finding(self.name, name, WARNING, text, advice)

    def broken(self, name: str, text: str, advice: str) -> Finding:
        return Finding(self.name, name, BROKEN, text, advice)

    def unchecked(self, why: str, name: str = "all") -> Finding:
        return Finding(self.name, name, UNCHECKED, why)


SETTINGS, MACHINE, DATABASE, TABLES = Area("settings"), Area("machine"), Area("database"), Area("tables")
ROSTER, PHOTOS, MODEL, RUNS = Area("roster"), Area("photos"), Area("model"), Area("runs")
IN_ORDER = (SETTINGS, MACHINE, DATABASE, TABLES, ROSTER, PHOTOS, MODEL, RUNS)
