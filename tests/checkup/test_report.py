"""How `--check` is written: lines that fit the terminal, the closing sentence, a document with stable keys."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from app.checkup.finding import BROKEN, INTERRUPTED, MODEL, OK, RUNS, UNCHECKED, WARNING, Finding
from app.checkup.report import (
    AREAS,
    LABEL_CELLS,
    LABELS,
    MARK_CELLS,
    MARKS,
    check_document,
    closing_lines,
    decide_check_exit_code,
    finding_lines,
)
from app.core.config import PROJECT_DIR

GRANT = "GRANT SELECT, INSERT, UPDATE, DELETE ON `cultura`.`face_photos` TO 'embeddings'@'localhost';"
FINE = Finding("database", "reach", OK, "127.0.0.1:3306, base cultura, usuario embeddings")
LACKING = Finding("tables", "own_rights", BROKEN, "faltan INSERT y UPDATE en seis tablas", f"Pida esto:\n{GRANT}")
PASSING = Finding("settings", "env_rights", WARNING, "otros pueden leerlo", "Ejecute: chmod 600 .env")
UNSEEN = Finding("roster", "all", UNCHECKED, "hace falta llegar antes a la base")


def test_area_has_one_heading_and_advice_follows_its_finding() -> None:
    again = Finding("tables", "version", OK, "al día")
    assert [*finding_lines(LACKING, FINE, 80), *finding_lines(again, LACKING, 80)] == [
        "",
        "Tablas del programa",
        "  🔴 falla   Permisos          faltan INSERT y UPDATE en seis tablas",
        "                               Qué hacer: Pida esto:",
        "                                 GRANT SELECT, INSERT, UPDATE, DELETE ON",
        "                                 `cultura`.`face_photos` TO",
        "                                 'embeddings'@'localhost';",
        "  🟢 bien    Versión           al día",
    ]


def test_without_a_width_no_line_is_folded() -> None:
    assert finding_lines(LACKING, None, None)[-1].strip() == GRANT


@pytest.mark.parametrize("width", [80, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = Finding("photos", "reach", WARNING, "palabra " * 60, f"{'otra ' * 60}\n{GRANT}")
    assert max(cell_len(line) for line in finding_lines(long, None, width)) <= width


def test_control_characters_are_not_printed() -> None:
    evil = Finding("roster", "no_photo", WARNING, "1\x1b[2J\n2", "borre\x9b1\r")
    assert [line for line in finding_lines(evil, None, None) if not line.isprintable()] == []


def test_every_finding_in_the_source_has_area_mark_and_label() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT_DIR / "app" / "checkup").glob("*.py")]
    call = re.compile(r"\b([A-Z]+)\.(?:ok|warning|broken)\(\s*f?\"([a-z_{}]+)\"")
    made = [found for source in sources for found in call.findall(source)]
    assert len(made) > 60
    names = {name.replace("{name}", folder) for _, name in made for folder in ("logs", "temp", "weights")}
    assert sorted(names - LABELS.keys()) == []
    assert {area.lower() for area, _ in made} <= AREAS.keys()
    assert max(map(cell_len, MARKS.values())) < MARK_CELLS
    assert max(map(cell_len, LABELS.values())) < LABEL_CELLS


@pytest.mark.parametrize(
    ("findings", "exit_code", "sentence"),
    [
        ([FINE], 0, "🟢 Todo listo para ejecutar: 1 comprobación."),
        ([FINE, FINE, UNSEEN], 0, "🟢 Todo listo para ejecutar: 2 comprobaciones y 1 sin comprobar."),
        ([FINE, PASSING], 1, "🟡 Se puede ejecutar, con 1 aviso. Conviene atenderlos."),
        (
            [LACKING, PASSING, UNSEEN],
            2,
            "🔴 Así no se puede ejecutar: 1 falla, 1 aviso y 1 sin comprobar. "
            "Empiece por la primera 🔴 y repita --check.",
        ),
    ],
)
def test_closing_sentence_and_exit_code_follow_from_the_levels(
    findings: list[Finding], exit_code: int, sentence: str
) -> None:
    assert (closing_lines(findings, None), decide_check_exit_code(findings)) == (["", sentence], exit_code)


def test_closing_sentence_of_an_interrupted_check_names_the_missing_areas() -> None:
    unseen = [area.unchecked("se interrumpió la comprobación", INTERRUPTED) for area in (MODEL, RUNS)]
    assert (
        closing_lines([FINE, LACKING, *unseen], None)[1] == "⚪ Comprobación interrumpida: faltan Modelo y Ejecuciones."
    )
    assert closing_lines([FINE, unseen[1]], None)[1] == "⚪ Comprobación interrumpida: falta Ejecuciones."
    assert check_document([FINE, *unseen], 143)["interrupted"]


def test_document_has_every_finding_under_stable_keys() -> None:
    assert check_document([FINE, UNSEEN], 0) == {
        "summary": {"exit_code": 0, "ok": 1, "warning": 0, "broken": 0, "not_checked": 1},
        "interrupted": False,
        "findings": [
            {"area": "database", "name": "reach", "level": "ok", "text": FINE.text, "advice": ""},
            {"area": "roster", "name": "all", "level": "not_checked", "text": UNSEEN.text, "advice": ""},
        ],
    }
