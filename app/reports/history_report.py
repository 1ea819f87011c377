"""The history of the runs: past runs come in; lines that people read, or a document, go out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from app.core.text import as_utf8, printable
from app.errors import EXIT_BY_SIGNAL, EXIT_NOT_AVAILABLE, EXIT_NOT_STARTED, EXIT_OK, EXIT_SOME_FAILED
from app.gallery.run_history import PastRun
from app.reports.columns import in_columns

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
# What it left, of one and of several.
LEFT = {
    "switched": ("1 vector nuevo en uso", "{} vectores nuevos en uso"),
    "reactivated": ("1 reactivada", "{} reactivadas"),
    "deactivated": ("1 desactivada", "{} desactivadas"),
    "purged": ("1 borrada", "{} borradas"),
    "forgotten": ("1 vector borrado", "{} vectores borrados"),
    "retired": ("1 fila de otro modelo desactivada", "{} filas de otro modelo desactivadas"),
    "mixed": ("1 fila sigue siendo de otro modelo", "{} filas siguen siendo de otro modelo"),
    "blocked": (HELD_BACK, HELD_BACK),
}
NO_RUNS = "Todavía no hay ninguna ejecución anotada."
SECONDS_PER_MINUTE, SECONDS_PER_HOUR = 60, 3600


def history_lines(runs: Sequence[PastRun], width: int | None = None) -> list[str]:
    """One row for each run, in lines of `width` characters; None: each on one line."""
    rows = [HEADINGS, *map(_row, runs)]
    lines = in_columns(rows[0], rows[1:], width)
    if width is not None and max(map(len, lines)) > width:
        joined = [(*row[:-2], ": ".join(row[-2:])) for row in rows]
        lines = in_columns(joined[0], joined[1:], width)
    return lines if runs else [NO_RUNS]


def history_document(runs: Sequence[PastRun]) -> dict[str, Any]:
    """The runs, ready to serialise; times in UTC. Its keys are stable."""
    return {
        "runs": [
            {
                "run_id": run.run_id,
                "started_at": _in_utc(run.started_at),
                "ended_at": run.ended_at and _in_utc(run.ended_at),
                "host": run.host,
                "alive": run.alive,
                "options": dict(run.options),
                "contract": run.contract,
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
    took = "" if run.seconds is None else _exactly(run.seconds)
    return (f"{run.run_id:>4}", f"{started:%d/%m/%Y %H:%M}", took, *counts, _what(run.options), "; ".join(_ending(run)))


def _what(options: Mapping[str, Any]) -> str:
    """What was asked for."""
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
    """How it ended and what it left."""
    words = _in_words(run)
    yield words + (f": {printable(run.error)}" if run.error else "")
    for name, (one, many) in LEFT.items():
        number = run.counts.get(name, 0)
        told = one if number == 1 else many.format(number)
        if number and told != words:
            yield told
    if run.rows_left is not None:
        yield "queda 1 fila" if run.rows_left == 1 else f"quedan {run.rows_left} filas"


def _in_words(run: PastRun) -> str:
    if run.exit_code is None:
        return "en marcha" if run.alive else "murió"
    if run.exit_code > EXIT_BY_SIGNAL:
        return "interrumpida"
    if run.exit_code == EXIT_SOME_FAILED and run.counts.get("blocked") and not run.counts.get("failed"):
        return HELD_BACK
    return ENDINGS.get(run.exit_code, f"código {run.exit_code}")


def _exactly(seconds: float) -> str:
    whole = round(seconds)
    if whole < SECONDS_PER_MINUTE:
        return f"{whole} s"
    if whole < SECONDS_PER_HOUR:
        return f"{whole // SECONDS_PER_MINUTE} min {whole % SECONDS_PER_MINUTE:02} s"
    return f"{whole // SECONDS_PER_HOUR} h {whole % SECONDS_PER_HOUR // SECONDS_PER_MINUTE:02} min"


def _in_utc(moment: datetime) -> str:
    return moment.replace(tzinfo=timezone.utc).isoformat(timespec="seconds")
