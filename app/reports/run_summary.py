"""The end of a run in words and numbers: outcomes come in, the lines that people read go out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from app.core.text import printable
from app.errors import kind_of
from app.records import SKIPPED_INTERRUPTED, CrewMember, Failed, Outcome, Skipped, Stored

SHOWN_MEMBERS = 10  # of each reason, on the console
STAGE_NAMES = {
    "download": "descarga",
    "decode": "lectura",
    "detect": "rostro",
    "embed": "vector",
    "store": "guardado",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts and times of a run. `stages_ms` is the mean of each stage over the members that reached it; of `failed`,
    `recalled` are from an earlier run and were not done again."""

    stored: int
    failed: int
    skipped: int
    interrupted: int
    seconds: float
    by_code: Mapping[str, int]
    stages_ms: Mapping[str, float]
    recalled: int = 0

    @property
    def total(self) -> int:
        return self.stored + self.failed + self.skipped

    @property
    def processed(self) -> int:
        """Those skipped and those recalled cost nothing."""
        return self.stored + self.failed - self.recalled

    @property
    def seconds_each(self) -> float:
        """Per member that was really processed."""
        return self.seconds / max(1, self.processed)


def summarise(outcomes: Sequence[Outcome], seconds: float) -> Summary:
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    return Summary(
        stored=sum(isinstance(outcome, Stored) for outcome in outcomes),
        failed=len(failures),
        skipped=len(skipped),
        interrupted=sum(outcome.code == SKIPPED_INTERRUPTED for outcome in skipped),
        seconds=seconds,
        by_code=dict(Counter(failure.code for failure in failures).most_common()),
        stages_ms=mean_timings(outcomes),
        recalled=sum(failure.recalled for failure in failures),
    )


def mean_timings(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Mean milliseconds of each stage, in the order of the stages."""
    taken: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        for stage, milliseconds in outcome.timings_ms.items():
            taken[stage].append(milliseconds)
    return {stage: round(fmean(taken[stage]), 2) for stage in STAGE_NAMES if stage in taken}


def reason(failure: Failed) -> str:
    """Why, in one Spanish sentence: the kind of error, and what was seen in this case."""
    title = kind_of(failure.code).title
    return printable(f"{title}: {failure.detail}" if failure.detail else title)


def summary_lines(summary: Summary) -> list[str]:
    """The block that closes every run."""
    return [
        "📊 RESUMEN FINAL",
        "================",
        f"✅ Exitosos: {summary.stored}",
        f"❌ Errores: {summary.failed}",
        *_recalled_lines(summary.recalled),
        f"⏭️  Saltados: {summary.skipped}",
        f"📋 Total procesados: {summary.total}",
        f"⏱️  Tiempo total: {summary.seconds:.2f} segundos",
        f"⚡ Promedio: {summary.seconds_each:.2f} seg/tripulante",
    ]


def _recalled_lines(number: int) -> list[str]:
    known = "1 ya conocido" if number == 1 else f"{number} ya conocidos"
    return [f"   (de ellos, {known}: nada nuevo desde entonces)"] if number else []


def roster_lines(
    deactivated: Sequence[str],
    purged: Sequence[str],
    rows_left: int | None,
    retired: int,
    *,
    reactivated: Sequence[str] = (),
) -> list[str]:
    """What became of those who left the roster or came back and of other models' rows; only what there is."""
    counted = [
        (len(deactivated), "👋 {} persona{s} ya no está{n} activa{s} en el padrón: desactivada{s}"),
        (len(reactivated), "↩️  {} persona{s} {came} al padrón: reactivada{s}"),
        (len(purged), "🗑️  {} persona{s} borrada{s}; filas que quedan de ellas: {left}"),
        (retired, "🧹 {} fila{s} de otro modelo desactivada{s}"),
    ]
    left = "no se sabe" if rows_left is None else rows_left
    one = {"s": "", "n": "", "came": "volvió", "left": left}
    many = {"s": "s", "n": "n", "came": "volvieron", "left": left}
    return [line.format(number, **(one if number == 1 else many)) for number, line in counted if number]


def error_lines(outcomes: Iterable[Outcome]) -> list[str]:
    """Failures grouped by reason, the most frequent first, each with what to do. Empty without failures."""
    groups: dict[str, list[Failed]] = defaultdict(list)
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            groups[outcome.code].append(outcome)
    lines = ["", "ERRORES POR MOTIVO", "=================="] if groups else []
    for code, failures in sorted(groups.items(), key=lambda group: -len(group[1])):
        kind = kind_of(code)
        lines += [f"❌ {kind.title} ({len(failures)})", f"   Quiénes: {_names(failures)}"]
        lines += [f"   Qué hacer: {kind.advice}"]
    return lines


def _names(failures: Sequence[Failed]) -> str:
    shown = ", ".join(_who(failure.member) for failure in failures[:SHOWN_MEMBERS])
    more = len(failures) - SHOWN_MEMBERS
    return f"{shown} y {more} más" if more > 0 else shown


def _who(member: CrewMember) -> str:
    return printable(f"{member.crew_id} ({member.full_name})" if member.full_name else member.crew_id)


def timing_line(summary: Summary) -> str:
    """What each stage costs, for the log and for --debug."""
    costs = ", ".join(f"{STAGE_NAMES[stage]} {value:.1f}" for stage, value in summary.stages_ms.items())
    rate = summary.processed / summary.seconds if summary.seconds else 0.0
    return f"Milisegundos por foto: {costs or 'ninguna etapa'}; {rate:.1f} fotos por segundo"
