from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from app.errors import DatabaseUnavailable, ImplausibleRun, RunError
from app.planning.plan import Plan
from app.planning.rules import Request
from app.records import CrewMember, Failed, Outcome, Skipped, Stored
from app.reports.run_summary import print_end
from app.runs.outcomes import Outcomes
from app.runs.result import RunResult

ANA, EVA = CrewMember("1", "a.jpg"), CrewMember("2", "b.jpg")
FAILED = Failed(ANA, "detect", "no_face")
BACK = Skipped(EVA, "reactivated")
NOTHING = "No había nada que cambiar: todos los vectores son ya de este modelo."


def told(result: RunResult, *, debug: bool = False, migrate: bool = False) -> list[str]:
    """Return the lines that a pipe shows at the end of a run."""
    console = Console(file=io.StringIO(), markup=False, highlight=False, emoji=False, soft_wrap=True)
    print_end(console, result, result.count(), Request(debug=debug, migrate=migrate))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def counts_of(result: RunResult) -> dict[str, Any]:
    return dict(result.end(result.count(), 0).counts)


@pytest.mark.parametrize("error", [None, DatabaseUnavailable("Se cayó")])
def test_what_is_held_back_is_said_after_everything_and_before_the_error(error: RunError | None) -> None:
    plan = Plan([], blocked=["No se borró\n", "Ni esto"])
    lines = told(RunResult(Outcomes([FAILED]), error=error, plan=plan), debug=True)
    ending = ["⚠️  No se borró\\n", "⚠️  Ni esto", *(["❌ Se cayó"] if error else [])]
    assert lines[-len(ending) :] == ending
    assert lines[-len(ending) - 1].startswith("⏲️")
    assert "ERRORES POR MOTIVO" in lines


def test_what_is_held_back_is_said_also_where_there_are_no_outcomes() -> None:
    lines = told(RunResult(error=DatabaseUnavailable("Se cayó"), plan=Plan([], blocked=["No se borró"])))
    assert lines == ["⚠️  No se borró", "❌ Se cayó"]


def test_what_an_implausible_run_saw_is_not_listed_as_errors() -> None:
    lines = told(RunResult(Outcomes([FAILED]), error=ImplausibleRun("El servidor no responde", "Compruébelo.")))
    assert "📊 RESUMEN FINAL" in lines
    assert "ERRORES POR MOTIVO" not in lines
    assert lines[-2:] == ["❌ El servidor no responde", "   Qué hacer: Compruébelo."]


def test_members_who_came_back_are_shown_and_counted() -> None:
    result = RunResult(Outcomes([BACK, Skipped(ANA, "current")]), reactivated=["2"])
    assert "↩️  1 persona volvió al padrón: reactivada" in told(result)
    assert counts_of(result)["reactivated"] == 1


def test_the_history_gets_only_the_particulars_that_there_are() -> None:
    result = RunResult(Outcomes([BACK]), reactivated=["2"], switched=3, mixed=2, plan=Plan([], blocked=["a", "b"]))
    assert {"switched": 3, "reactivated": 1, "blocked": 2, "mixed": 2}.items() <= counts_of(result).items()
    for plain in (RunResult(), RunResult(Outcomes([FAILED]), switched=0, plan=Plan([]))):
        assert counts_of(plain).keys().isdisjoint({"switched", "reactivated", "blocked", "mixed"})


def test_where_there_is_nothing_to_switch_only_that_is_said() -> None:
    assert told(RunResult(), migrate=True, debug=True) == [NOTHING]


@pytest.mark.parametrize(
    ("outcomes", "switched", "migrate"), [([Stored(ANA, 1)], 1, True), ([], 0, True), ([], None, False)]
)
def test_any_other_end_has_its_summary(outcomes: Sequence[Outcome], switched: int | None, migrate: bool) -> None:
    lines = told(RunResult(Outcomes(outcomes), switched=switched), migrate=migrate)
    assert "📊 RESUMEN FINAL" in lines
    assert NOTHING not in lines
