"""A run in one sentence: its summary and the error that ended it come in, plain Spanish goes out."""

from __future__ import annotations

from app.core.text import printable
from app.errors import RunError
from app.reports.run_summary import Summary


def say_what_happened(summary: Summary, error: RunError | None) -> str:
    """What happened, for somebody who reads nothing else."""
    parts = [
        (summary.stored, "quedó registrada", "quedaron registradas"),
        (summary.failed, "no se pudo registrar", "no se pudieron registrar"),
        (summary.skipped - summary.interrupted, "ya estaba al día", "ya estaban al día"),
    ]
    told = [(number, one if number == 1 else many) for number, one, many in parts if number]
    if not told:
        return "No se procesó a nadie." if error or summary.interrupted else "No había ninguna persona por procesar."
    number, did = told[0]
    clauses = [f"{_people(number)} {did}", *(f"{number} {did}" for number, did in told[1:])]
    return " y ".join(filter(None, [", ".join(clauses[:-1]), clauses[-1]])) + "."


def _people(number: int) -> str:
    return "1 persona" if number == 1 else f"{number} personas"


def say_why_cut_short(summary: Summary, error: RunError | None) -> str:
    """Why the run did not come to its end, and what that means for those it did not reach."""
    parts = [printable(f"{error}. {error.advice}".strip())] if error else []
    if summary.interrupted:
        parts.append(f"Para la próxima ejecución: {_people(summary.interrupted)}.")
    return " ".join(parts)
