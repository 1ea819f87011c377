"""The history of the runs as lines for the console and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from rich.cells import cell_len

from app.core.spanish import inflect, say_exactly
from app.core.text import as_utf8, printable
from app.errors import EXIT_BY_SIGNAL, EXIT_NOT_AVAILABLE, EXIT_NOT_STARTED, EXIT_OK, EXIT_SOME_FAILED
from app.gallery.run_history import PastRun
from app.reports.console import WIDEST, in_columns

HEADINGS = (" N.º", "Empezó", "Duró", "Hechas", "Errores", "Saltadas", "Qué se pidió", "Cómo terminó")
COUNTED = ("stored", "failed", "skipped")
ENDINGS = {
    EXIT_OK: "bien",
    EXIT_SOME_FAILED: "con errores",
    EXIT_NOT_STARTED: "no empezó",
    EXIT_NOT_AVAILABLE: "no pudo seguir",
}
FLAGS = {
    "force": "--force",
    "compare": "--refresh full",
    "allow_mass_change": "--allow-mass-change",
    "accept_low_quality": "--accept-low-quality",
}
HELD_BACK = "cambio masivo retenido"
CHANGES = {
    "switched": "# vector[es] nuevo[s] en uso",
    "reactivated": "# reactivada[s]",
    "deactivated": "# desactivada[s]",
    "purged": "# borrada[s]",
    "forgotten": "# vector[es] borrado[s]",
    "retired": "# fila[s] de otro modelo desactivada[s]",
    "mixed": "# fila[s] [sigue|siguen] siendo de otro modelo",
    "unchecked": "# foto[s] sin comprobar",
    "downloaded_again": "# foto[s] descargada[s] en vano",
}
NO_RUNS = "Todavía no hay ninguna ejecución anotada."


def history_lines(runs: Sequence[PastRun], width: int | None = None) -> list[str]:
    """Return one row for each run, in lines of `width` characters; None: each on one line."""
    rows = [HEADINGS, *map(_row, runs)]
    lines = in_columns(rows[0], rows[1:], width)
    is_cut = max(cell_len(row[-2]) for row in rows) > WIDEST
    if width is not None and (is_cut or max(map(cell_len, lines)) > width):
        joined = [(*row[:-2], ": ".join(row[-2:])) for row in rows]
        lines = in_columns(joined[0], joined[1:], width)
    return lines if runs else [NO_RUNS]


def history_document(runs: Sequence[PastRun]) -> dict[str, Any]:
    """Return the runs, ready to serialise; times in UTC. Its keys are stable."""
    return {
        "runs": [
            {
                "run_id": run.run_id,
                "started_at": _in_utc(run.started_at),
                "ended_at": run.ended_at and _in_utc(run.ended_at),
                "host": run.host,
                "alive": run.alive,
                "options": dict(run.options),
                "contract": run.spec_digest,
                "counts": dict(run.counts),
                "seconds": run.seconds,
                "exit_code": run.exit_code,
                "error": as_utf8(run.error),
                "rows_left": run.rows_left,
            }
            for run in runs
        ]
    }


def _row(run: PastRun) -> tuple[str, ...]:
    started = run.started_at.replace(tzinfo=timezone.utc).astimezone()
    counts = (
        str(run.counts.get(name, "—")).rjust(len(heading)) for name, heading in zip(COUNTED, HEADINGS[3:], strict=False)
    )
    took = "" if run.seconds is None else say_exactly(run.seconds)
    return (f"{run.run_id:>4}", f"{started:%d/%m/%Y %H:%M}", took, *counts, _what(run.options), "; ".join(_ending(run)))


def _what(options: Mapping[str, Any]) -> str:
    if "forget" in options:
        return printable(f"olvidar ({options['forget']})")
    model = printable(f" a {options['model']}") if options.get("model") else ""
    named = {"retry_failed": "solo fallidos", "migrate": f"cambio de modelo{model}"}
    who = next((words for name, words in named.items() if options.get(name)), "todos")
    if options.get("crew_id"):
        who = printable(f"una persona ({options['crew_id']})")
    flags = [flag for name, flag in FLAGS.items() if options.get(name)]
    days = options.get("purge_after_days")
    return " ".join([who, *flags, *([f"--purge-after {days}"] if days is not None else [])])


def _ending(run: PastRun) -> Iterator[str]:
    words = _in_words(run)
    yield words + (f": {printable(run.error)}" if run.error else "")
    yield from (inflect(run.counts[name], change) for name, change in CHANGES.items() if run.counts.get(name))
    if run.counts.get("blocked") and words != HELD_BACK:
        yield HELD_BACK
    if run.rows_left is not None:
        yield inflect(run.rows_left, "queda[n] # fila[s]")


def _in_words(run: PastRun) -> str:
    if run.exit_code is None:
        return "en marcha" if run.alive else "murió"
    if run.exit_code > EXIT_BY_SIGNAL:
        return "interrumpida"
    if run.exit_code == EXIT_SOME_FAILED and run.counts.get("blocked") and not run.counts.get("failed"):
        return HELD_BACK
    return ENDINGS.get(run.exit_code, f"código {run.exit_code}")


def _in_utc(moment: datetime) -> str:
    return moment.replace(tzinfo=timezone.utc).isoformat(timespec="seconds")
