"""The end of a run in words: the lines on the console, and the sentences on HR's page."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping

from rich.console import Console

from app.core.spanish import inflect, say_all, say_some
from app.core.text import printable
from app.errors import ImplausibleRun, PhotosUnchecked, RunError, kind_of
from app.planning.rules import Request
from app.records import CrewMember, Failed
from app.reports.console import complain
from app.reports.plan_report import say_unchecked
from app.runs.result import RunCounts, RunResult

log = logging.getLogger(__name__)

SHOWN_MEMBERS = 10  # of each reason, on the console
STAGE_NAMES = {
    "download": "descarga",
    "decode": "lectura",
    "detect": "rostro",
    "embed": "vector",
    "store": "guardado",
}
MOVED = "El servidor de fotos redirige a {0}: ponga esa dirección en IMAGE_BASE_URL, con https:// en lugar de http://."
IN_VAIN = "🔁 Descargadas de nuevo sin que hubieran cambiado: # (por qué lo dice --check)"
NOTHING_TO_SWITCH = "No había nada que cambiar: todos los vectores son ya de este modelo."


def print_end(console: Console, result: RunResult, counts: RunCounts, request: Request, model: str = "") -> None:
    """Print how the run ended. What the caps held back comes last, where the log of an unattended run is read.
    `model`: the one that `--model` named, which the next run will not know of."""
    log.info(timing_line(counts))
    if result.died_before is not None:
        run = result.died_before
        console.print(
            f"\n⚠️  La ejecución anterior ({run.started_at:%Y-%m-%d %H:%M} UTC, en {printable(run.host)}) murió sin "
            "terminar. Quién estaba en curso lo dice logs/app.log; se procesa al final y aparte."
        )
    if result.outcomes or result.error is None:
        console.print("\n".join(_end_lines(result, counts, request, model)))
    if result.redirected_to:
        console.print(printable(f"⚠️  {MOVED.format(result.redirected_to)}"))
    if result.plan is not None and result.unchecked and not isinstance(result.error, ImplausibleRun | PhotosUnchecked):
        console.print(say_unchecked(result.plan))
    for blocked in result.blocked:
        console.print(f"⚠️  {printable(blocked)}")
    if result.error is not None:
        complain(console, result.error)


def _end_lines(result: RunResult, counts: RunCounts, request: Request, model: str) -> list[str]:
    switch = _switch_lines(result, request, model)
    if switch == [NOTHING_TO_SWITCH] and not result.outcomes:
        return switch
    lines = ["", *summary_lines(counts), *roster_lines(counts.changes, result.rows_left), *switch]
    if counts.checks.get("downloaded_again"):
        lines.append(inflect(counts.checks["downloaded_again"], IN_VAIN))
    if not isinstance(result.error, ImplausibleRun):  # else the failures are not the photos' fault
        lines += error_lines(result.outcomes.of(Failed))
    if counts.interrupted:
        cause = "Se acabó el tiempo (--max-minutes)" if result.out_of_time else "Interrumpido"
        cause = f"Se acabó lo que la cuenta de la base puede hacer: {result.spent}" if result.spent else cause
        again = "Con --force se empieza de nuevo." if request.force else "Al ejecutar de nuevo se continúa."
        lines += ["", f"{cause}: {counts.interrupted} sin procesar. {again}"]
    if request.debug:
        lines += ["", f"⏲️  {timing_line(counts)}"]
    return lines


def _switch_lines(result: RunResult, request: Request, model: str) -> list[str]:
    if result.mixed:
        return [
            f"⚠️  {result.mixed} filas en uso siguen siendo de otro modelo: desactivarlas dejaría fuera a muchos.",
            "   Corrija las fotos de la lista y repita, o desactívelas con --allow-mass-change.",
        ]
    if not request.migrate or result.error is not None:
        return []
    if result.unswitched:
        return ["⏳ El modelo no se ha cambiado todavía: lo preparado queda guardado. Repita --migrate, que continúa."]
    if result.switched is None:
        return [NOTHING_TO_SWITCH]
    switched = f"🔁 Cambio hecho: {result.switched} vectores nuevos en uso; los de antes quedan inactivos."
    reminder = f"   Escriba FACE_MODEL={model} en .env antes de la próxima ejecución."
    return [switched, reminder] if model else [switched]


def summary_lines(counts: RunCounts) -> list[str]:
    """Return the block that closes every run."""
    recalled = inflect(counts.recalled, "   (de ellos, # ya conocido[s]: nada nuevo desde entonces)")
    return [
        "📊 RESUMEN FINAL",
        "================",
        f"✅ Exitosos: {counts.stored}",
        f"❌ Errores: {counts.failed}",
        *([recalled] if counts.recalled else []),
        f"⏭️  Saltados: {counts.skipped}",
        f"📋 Total procesados: {counts.total}",
        f"⏱️  Tiempo total: {counts.seconds:.2f} segundos",
        *([f"⚡ Promedio: {counts.seconds_each:.2f} seg/tripulante"] if counts.processed else []),
    ]


def roster_lines(changes: Mapping[str, int], rows_left: int | None) -> list[str]:
    """Return what became of members who left the roster or came back and of other models' rows; only what there is."""
    left = "no se sabe" if rows_left is None else rows_left
    lines = {
        "deactivated": "👋 # persona[s] ya no está[n] activa[s] en el padrón: desactivada[s]",
        "reactivated": "↩️  # persona[s] [volvió|volvieron] al padrón: reactivada[s]",
        "purged": f"🗑️  # persona[s] borrada[s]; filas que quedan de ellas: {left}",
        "retired": "🧹 # fila[s] de otro modelo desactivada[s]",
    }
    return [inflect(changes[name], line) for name, line in lines.items() if changes.get(name)]


def error_lines(failures: Iterable[Failed]) -> list[str]:
    """Return the failures by reason, the most frequent first, each with what to do. Empty without failures."""
    groups: dict[str, list[Failed]] = defaultdict(list)
    for failure in failures:
        groups[failure.code].append(failure)
    lines = ["", "ERRORES POR MOTIVO", "=================="] if groups else []
    for code, alike in sorted(groups.items(), key=lambda group: -len(group[1])):
        kind = kind_of(code)
        names = say_some([_who(each.member) for each in alike], SHOWN_MEMBERS)
        lines += [f"❌ {kind.title} ({len(alike)})", f"   Quiénes: {names}", f"   Qué hacer: {kind.advice}"]
    return lines


def _who(member: CrewMember) -> str:
    return printable(f"{member.crew_id} ({member.full_name})" if member.full_name else member.crew_id)


def reason(failure: Failed) -> str:
    """Return why, in one sentence: the kind of error, and what was seen in this case."""
    title = kind_of(failure.code).title
    return printable(f"{title}: {failure.detail}" if failure.detail else title)


def timing_line(counts: RunCounts) -> str:
    """Return what each stage costs, for the log and for --debug."""
    costs = ", ".join(f"{STAGE_NAMES[stage]} {value:.1f}" for stage, value in counts.stages_ms.items())
    rate = counts.processed / counts.seconds if counts.seconds else 0.0
    return f"Milisegundos por foto: {costs or 'ninguna etapa'}; {rate:.1f} fotos por segundo"


def say_what_happened(counts: RunCounts, error: RunError | None) -> str:
    """Return the run in one sentence, for a reader who reads nothing else."""
    parts = [
        (counts.stored, "#{} [quedó|quedaron] registrada[s]"),
        (counts.failed, "#{} no se [pudo|pudieron] registrar"),
        (counts.returned, "#{} [volvió|volvieron] al padrón con la misma foto"),
        (counts.current, "#{} ya estaba[n] al día"),
        (counts.unchecked, "de #{} no se pudo comprobar la foto"),
    ]
    clauses = [(number, clause) for number, clause in parts if number]
    if not clauses:
        return "No se procesó a nadie." if error or counts.interrupted else "No había ninguna persona por procesar."
    nouns = (" persona[s]", *[""] * len(parts))  # only the first clause says what the numbers are of
    named = [(number, clause.format(noun)) for (number, clause), noun in zip(clauses, nouns, strict=False)]
    return f"{say_all([inflect(number, clause) for number, clause in named])}."


def say_why_cut_short(counts: RunCounts, error: RunError | None) -> str:
    """Return why the run ended early, and what that means for the members it did not reach."""
    parts = [printable(f"{error}. {error.advice}".strip())] if error else []
    if counts.interrupted:
        parts.append(inflect(counts.interrupted, "Para la próxima ejecución: # persona[s]."))
    return " ".join(parts)
