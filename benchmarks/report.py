"""The results of `compare` as a table and as a document (JSON)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.measures import Measure

# Limits of issues 3 and 18.
TIMES_LOOP, TIMES_SHRUNK, TIMES_FLOOR = 100, 20, 1.8
COLD_START_S, COLD_START_SHARE, LARGE_PEAK_MB = 2.5, 0.08, 800


@dataclass(slots=True)
class Report:
    """All results: `measures` by key, `cold_s` by side, `failures` by part; without the parts not asked for."""

    machine: dict[str, Any]
    setting: dict[str, Any]
    measures: dict[str, Measure] = field(default_factory=dict)
    cold_s: dict[str, list[float]] = field(default_factory=dict)
    large: Measure | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def ratio(self, numerator: str, denominator: str) -> float | None:
        """Return how many times as long one measure takes as the other; None where one was not measured."""
        if numerator not in self.measures or denominator not in self.measures:
            return None
        return self.measures[numerator].ms / self.measures[denominator].ms

    def as_document(self) -> dict[str, Any]:
        measures = {
            key: asdict(measure) | {"ms": measure.ms, "photos_per_second": measure.per_second}
            for key, measure in self.measures.items()
        }
        return {
            "machine": self.machine,
            "setting": self.setting,
            "measures": measures,
            "cold_start_s": self.cold_s,
            "large": asdict(self.large) if self.large else None,
            "failures": self.failures,
            "targets": [asdict(target) for target in self.targets()],
        }

    def targets(self) -> list[Target]:
        """Return the figures to reach that were measured."""
        found = [
            Target("photos a second, against (a)", self.ratio("a", "d"), TIMES_LOOP, at_least=True),
            Target("photos a second, against (b)", self.ratio("b", "d"), TIMES_SHRUNK, at_least=True),
            Target("time a photo, against the floor (e)", self.ratio("d", "e"), TIMES_FLOOR),
            *self._cold_targets(),
            Target("peak memory with 20-megapixel photos, MB", self.large and self.large.peak_mb, LARGE_PEAK_MB),
        ]
        return [target for target in found if target.measured is not None]

    def _cold_targets(self) -> list[Target]:
        if not self.cold_s:
            return []
        ours, theirs = median(self.cold_s["program"]), median(self.cold_s["deepface"])
        return [
            Target("cold start for one member, s", ours, COLD_START_S),
            Target("cold start, as a share of DeepFace's", ours / theirs, COLD_START_SHARE),
        ]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach: at most `wanted`, or `at_least`."""

    name: str
    measured: float | None
    wanted: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        assert self.measured is not None
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted

    def line(self) -> str:
        bound = "at least" if self.at_least else "at most"
        word = "reached" if self.reached else "NOT REACHED"
        return f"  {self.name:<44}{self.measured:>9.2f}   {bound} {self.wanted:g}: {word}"


def report_lines(report: Report) -> list[str]:
    lines = [*_machine_lines(report), "", *_measure_lines(report), *_program_lines(report)]
    targets = report.targets()
    if targets:
        lines += ["", "To reach", *(target.line() for target in targets)]
    return lines + [f"FAILED: {part}" for part in report.failures]


def _machine_lines(report: Report) -> list[str]:
    machine, setting = report.machine, report.setting
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    weights = "published" if setting["trained_weights"] else "seeded (same architecture and speed)"
    return [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}",
        f"{versions}; {' and '.join(machine['unset_for_all'])} unset for all sides",
        f"{setting['photos']} photos, {setting['megapixels_min']:.1f} to {setting['megapixels_max']:.1f} megapixels, "
        f"median {setting['megapixels_median']:.1f}; weights of Facenet512: {weights}",
        f"DeepFace's best settings: {setting['deepface'] or 'not needed'} {_way_times(setting['deepface_ways_ms'])}",
    ]


def _way_times(ways_ms: dict[str, float]) -> str:
    tried = "; ".join(f"{way} {ms:.0f} ms" for way, ms in ways_ms.items())
    return f"(on three photos: {tried})" if tried else ""


def _measure_lines(report: Report) -> list[str]:
    head = f"{'':<52}{'photos/s':>9}{'ms a photo':>12}{'(min-max)':>20}{'peak MB':>9}{'x (a)':>8}{'x floor':>9}"
    return [head, *(_measure_line(report, measure) for measure in report.measures.values())]


def _measure_line(report: Report, measure: Measure) -> str:
    spread = f"({min(measure.ms_each):.1f}-{max(measure.ms_each):.1f})"
    times, floor = report.ratio("a", measure.key), report.ratio(measure.key, "e")
    return (
        f"{measure.key}  {measure.title:<49}{measure.per_second:>9.2f}{measure.ms:>12.1f}{spread:>20}"
        f"{measure.peak_mb:>9.0f}{_number(times):>8}{_number(floor):>9}"
    )


def _program_lines(report: Report) -> list[str]:
    lines = []
    if program := report.measures.get("d"):
        stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in program.details["stages_ms"].items())
        lines += ["", f"(d) ran on {program.details['members']} members, {program.details['failed']} failed"]
        if steady := program.details["steady_ms_each"]:
            lines.append(f"(d) without start and end: {median(steady):.1f} ms a photo ({1000 / median(steady):.1f}/s)")
        lines.append(f"(d) ms in each stage (several at a time): {stages}")
    if floor := report.measures.get("e"):
        ways = ", ".join(f"{way} {median(ms):.1f} ms" for way, ms in floor.details["ways_ms"].items())
        lines.append(f"(e) {ways}")
    for side, seconds in report.cold_s.items():
        lines.append(f"cold start, {side}: {median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})")
    if report.large:
        lines.append(f"{report.large.title}: {report.large.peak_mb:.0f} MB, {report.large.ms:.1f} ms a photo")
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
