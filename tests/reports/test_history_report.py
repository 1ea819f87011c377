from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import pytest

from app.gallery.run_history import PastRun
from app.reports.history_report import history_document, history_lines

RUN = PastRun(
    run_id=12,
    started_at=datetime(2026, 11, 22, 6, 0),
    ended_at=datetime(2026, 11, 22, 6, 3, 12),
    host="servidor",
    pid=4711,
    alive=False,
    options={},
    spec_digest="c1",
    counts={"stored": 120, "failed": 3, "skipped": 1400, "deactivated": 2, "purged": 1, "codes": {"no_face": 3}},
    seconds=192.4,
    exit_code=1,
    error="",
    rows_left=0,
)


@pytest.fixture(autouse=True)
def mexico(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the reader's clock to six hours behind UTC."""
    monkeypatch.setenv("TZ", "UTC+6")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def cells(**values: Any) -> list[str]:
    """Return the cells of such a run's row, without padding."""
    line = history_lines([replace(RUN, **values)])[1]
    return [cell.strip() for cell in line.split("  ") if cell]


def what(options: dict[str, Any]) -> str:
    return cells(options=options)[-2]


def ending(**values: Any) -> str:
    return cells(**{"counts": {}, "rows_left": None} | values)[-1]


def test_a_run_is_one_row_at_the_reader_s_time() -> None:
    assert history_lines([RUN, replace(RUN, run_id=3, exit_code=0)]) == [
        " N.º  Empezó            Duró        Hechas  Errores  Saltadas  Qué se pidió  Cómo terminó",
        "  12  22/11/2026 00:00  3 min 12 s     120        3      1400  todos         con errores; 2 desactivadas; "
        "1 borrada; quedan 0 filas",
        "   3  22/11/2026 00:00  3 min 12 s     120        3      1400  todos         bien; 2 desactivadas; "
        "1 borrada; quedan 0 filas",
    ]


def test_without_runs_that_is_said() -> None:
    assert history_lines([]) == ["Todavía no hay ninguna ejecución anotada."]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "todos"),
        ({"crew_id": "1001"}, "una persona (1001)"),
        ({"crew_id": "1\n2"}, "una persona (1\\n2)"),
        ({"retry_failed": True}, "solo fallidos"),
        ({"migrate": True, "allow_mass_change": True}, "cambio de modelo --allow-mass-change"),
        ({"migrate": True, "model": "Arc\n"}, "cambio de modelo a Arc\\n"),
        ({"model": "Facenet512"}, "todos"),
        ({"purge_after_days": 0}, "todos --purge-after 0"),
        ({"forget": "7\x1b"}, "olvidar (7\\x1b)"),
        ({"force": True, "compare": True}, "todos --force --refresh full"),
        ({"purge_after_days": 90, "accept_low_quality": True}, "todos --accept-low-quality --purge-after 90"),
    ],
)
def test_what_was_asked_for_is_told(options: dict[str, Any], words: str) -> None:
    assert what(options) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"exit_code": 0}, "bien"),
        ({"exit_code": 1}, "con errores"),
        ({"exit_code": 2}, "no empezó"),
        ({"exit_code": 3, "error": "No hay\n"}, "no pudo seguir: "
         "No hay\\n"),
        ({"exit_code": 130}, "interrumpida"),
        ({"exit_code": 143}, "interrumpida"),
        ({"exit_code": 9}, "código 9"),
        ({"exit_code": None, "alive": True}, "en marcha"),
        ({"exit_code": None}, "murió"),
        ({"exit_code": 0, "rows_left": 1}, "bien; queda 1 fila"),
        ({"exit_code": 0, "rows_left": 0, "counts": {"forgotten": 2}}, "bien; 2 vectores borrados; quedan 0 filas"),
        ({"exit_code": 0, "counts": {"switched": 1, "reactivated": 1, "retired": 1, "mixed": 1}},
         "bien; 1 vector nuevo en uso; 1 reactivada; 1 fila de otro modelo desactivada; "
         "1 fila sigue siendo de otro modelo"),
        ({"exit_code": 1, "counts": {"switched": 2, "reactivated": 3, "retired": 4, "mixed": 5, "failed": 1}},
         "con errores; 2 vectores nuevos en uso; 3 reactivadas; 4 filas de otro modelo desactivadas; "
         "5 filas siguen siendo de otro modelo"),
        ({"exit_code": 1, "counts": {"blocked": 1, "failed": 0}}, "cambio masivo retenido"),
        ({"exit_code": 1, "counts": {"blocked": 2, "failed": 7}}, "con errores; cambio masivo retenido"),
        ({"exit_code": 3, "counts": {"blocked": 1}}, "no pudo seguir; cambio masivo retenido"),
        ({"exit_code": 143, "counts": {"blocked": 1}}, "interrumpida; cambio masivo retenido"),
        ({"exit_code": 0, "counts": {"switched": 0, "blocked": 0, "retired": 0}}, "bien"),
    ],
)  # fmt: skip
def test_how_it_ended_is_told_in_words(values: dict[str, Any], words: str) -> None:
    assert ending(**values) == words


def test_what_is_not_known_of_a_run_is_left_open() -> None:
    told = cells(counts={}, seconds=None, ended_at=None, exit_code=None, rows_left=None)
    assert told == ["12", "22/11/2026 00:00", "—", "—", "—", "todos", "murió"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_a_duration_is_exact(seconds: float, words: str) -> None:
    assert cells(seconds=seconds)[2] == words


def test_nothing_is_wider_than_the_terminal() -> None:
    error = "El servidor de fotos no respondió 20 de las primeras 20 veces"
    run = replace(RUN, options={"purge_after_days": 90}, exit_code=3, error=error)
    for width in (80, 140):
        assert max(map(len, history_lines([run], width))) <= width


@pytest.mark.parametrize("width", [80, 120, 140])
def test_all_options_are_shown_however_many(width: int) -> None:
    asked = {"crew_id": "1001", "force": True, "allow_mass_change": True}
    lines = history_lines([replace(RUN, options=asked), RUN], width)
    assert "una persona (1001) --force --allow-mass-change: con errores" in " ".join(map(str.strip, lines))
    assert max(map(len, lines)) <= width


def test_where_there_is_little_room_what_was_asked_for_stands_with_its_end() -> None:
    run = replace(RUN, options={"purge_after_days": 90}, counts={}, rows_left=None)
    assert history_lines([run], 80) == [
        " N.º  Empezó            Duró        Hechas  Errores  Saltadas",
        "      Qué se pidió: Cómo terminó",
        "  12  22/11/2026 00:00  3 min 12 s       —        —         —",
        "      todos --purge-after 90: con errores",
    ]


def test_the_document_has_it_all_in_utc() -> None:
    running = replace(RUN, ended_at=None, exit_code=None, error="\udcff")
    document = history_document([RUN, running])
    orjson.dumps(document)
    assert document["runs"][0] == {
        "run_id": 12,
        "started_at": "2026-11-22T06:00:00+00:00",
        "ended_at": "2026-11-22T06:03:12+00:00",
        "host": "servidor",
        "alive": False,
        "options": {},
        "contract": "c1",
        "counts": dict(RUN.counts),
        "seconds": 192.4,
        "exit_code": 1,
        "error": "",
        "rows_left": 0,
    }
    assert document["runs"][1]["ended_at"] is None
