from __future__ import annotations

import io
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from app.planning.decisions import Case, Decision
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.records import CrewMember, Enrolment, Failed, Outcome, Skipped, Stored
from app.reports.console_progress import ConsoleProgress

RULES = Rules("Facenet512", "c1", 512, "j1", datetime(2026, 11, 22), timedelta(hours=20))
ANA = CrewMember("1\n", "a.jpg", "Ana")
LEAVING = Plan([Decision("deactivate", "se fue", Case(ANA, "u"))])
UNCHECKED = "no se pudieron comprobar, y sus embeddings quedan como estaban"
UNCHECKED_ONE = "no se pudo comprobar, y su embedding queda como estaba"
WHY = "(la última: ya no)"
GOODBYE = "👋 1 persona ya no está activa en el padrón: se desactivará."


@pytest.fixture
def console() -> Console:
    """A console on a pipe."""
    return Console(file=io.StringIO(), markup=False, highlight=False, emoji=False, soft_wrap=True)


@pytest.fixture
def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, soft_wrap=True)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def told(console: Console, *outcomes: Outcome) -> list[str]:
    with ConsoleProgress(console) as progress:
        progress.begin(len(outcomes), 0)
        for outcome in outcomes:
            progress.outcome(outcome)
    return printed(console)


@pytest.mark.parametrize(
    ("asked", "unchecked", "lines"),
    [
        (3, {}, ["🔎 3 fotos comprobadas"]),
        (1, {}, ["🔎 1 foto comprobada"]),
        (
            3,
            {"7": "tarda", "8": "ya no"},
            ["🔎 1 foto comprobada", f"⚠️  2 fotos {UNCHECKED}: 7, 8 {WHY}"],
        ),
        (1, {"7": "ya no"}, [f"⚠️  1 foto {UNCHECKED_ONE}: 7 {WHY}"]),
        (0, {}, []),
    ],
)
def test_on_a_pipe_the_check_is_told_when_it_is_done(
    console: Console, asked: int, unchecked: dict[str, str], lines: list[str]
) -> None:
    """A check that failed is no check."""
    with ConsoleProgress(console) as progress:
        for done in range(1, asked + 1):
            progress.checking(done, asked)
        progress.planned(Plan([], asked=asked, unchecked=unchecked), RULES)
    assert printed(console) == lines


def test_on_a_terminal_the_check_is_a_bar_that_goes_away(terminal: Console) -> None:
    with ConsoleProgress(terminal) as progress:
        progress.checking(1, 30)
        progress._bar.refresh()
        assert "Comprobando fotos" in printed(terminal)[-1]
        assert "1/30" in printed(terminal)[-1]
        progress.checking(30, 30)
        assert not progress._bar.tasks[0].visible
    assert "🔎" not in "".join(printed(terminal))


def test_a_check_that_was_interrupted_leaves_no_bar(terminal: Console) -> None:
    with ConsoleProgress(terminal) as progress:
        progress.checking(1, 30)
        progress.planned(Plan([]), RULES)
        assert not progress._bar.tasks[0].visible


def test_what_is_to_be_known_of_the_plan_is_said_once_it_is_made(console: Console) -> None:
    ConsoleProgress(console).planned(LEAVING, RULES)
    assert printed(console) == [GOODBYE]


def test_a_migration_is_announced_as_one(console: Console) -> None:
    stale = Decision("stale", "otro modelo", Case(ANA, "u", Enrolment(1, "Facenet", "u", (1,), (1,))))
    ConsoleProgress(console, migrating=True).planned(Plan([stale], gallery_size=1), RULES)
    (line,) = printed(console)
    assert "se preparan aparte" in line


def test_where_the_plan_itself_is_shown_it_is_not_announced(console: Console) -> None:
    ConsoleProgress(console, notices=False).planned(LEAVING, RULES)
    assert printed(console) == []


def test_each_outcome_counts_and_has_its_sentence(console: Console) -> None:
    outcomes = (
        Stored(ANA, 7),
        Skipped(ANA, "renamed"),
        Skipped(ANA, "same_file"),
        Skipped(ANA, "reencoded"),
        Skipped(ANA, "reactivated"),
        Failed(ANA, "detect", "no_face", recalled=True),
    )
    lines = told(console, *outcomes)
    assert lines[::2] == [f"[{n}/6] Procesando 1\\n..." for n in range(1, 7)]
    assert lines[1::2] == [
        "✅ Embedding generado exitosamente para 1\\n (ID: 7)",
        "⏭️  Sin cambios para 1\\n: solo se anotó su dirección nueva",
        "⏭️  Sin cambios para 1\\n: es el mismo archivo",
        "⏭️  Sin cambios para 1\\n: la foto da el mismo vector y la fila se queda",
        "⏭️  Sin cambios para 1\\n: volvió al padrón y su embedding está activo de nuevo",
        "❌ Error al extraer embedding para 1\\n: No se detectaron rostros",
    ]


def test_a_member_whose_photo_was_not_looked_at_is_neither_printed_nor_counted(console: Console) -> None:
    assert told(console, Skipped(ANA, "current"), Skipped(ANA, "interrupted")) == []


def test_a_member_whose_photo_was_looked_at_moves_the_bar(terminal: Console) -> None:
    progress = ConsoleProgress(terminal)
    progress.begin(2, 0)
    progress.outcome(Skipped(ANA, "renamed"))
    assert progress._bar.tasks[0].completed == 1
