"""What cron and monitoring need of the command line: one run at a time, an end in time, silence, and metrics."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pytest

from app.cli.arguments import parse_arguments
from app.cli.main import run
from app.core.config import load_settings
from app.core.database import Database
from app.runs.run_lock import holding_run_lock
from tests.conftest import OpenWorld
from tests.reports.test_metrics import read
from tests.support.program import World

NOW = datetime(2026, 3, 1, 2)


@pytest.fixture
def world(open_world: OpenWorld, database_url: str, portrait_jpeg: bytes) -> World:
    world = open_world(database_url)
    world.hire("A1", "ana.jpg", portrait_jpeg)
    return world


def forbid(*_: object) -> NoReturn:
    raise AssertionError


def test_a_second_run_ends_with_4_and_leaves_the_metrics_of_the_first_alone(world: World, tmp_path: Path) -> None:
    metrics = tmp_path / "embeddings.prom"
    with holding_run_lock(Database(load_settings(None, DB_URL=world.url, IMAGE_BASE_URL="http://h")), NOW, forbid):
        second = world.run("--metrics", str(metrics))
        quiet = world.run("--quiet")
        assert (quiet.exit_code, quiet.stdout) == (4, "")
    assert (second.exit_code, metrics.exists()) == (4, False)
    assert second.stdout.startswith("❌ Ya hay otra ejecución en marcha, que aún no anotó su comienzo\n   Qué hacer: ")
    assert world.run("--metrics", str(metrics)).exit_code == 0
    assert read(metrics)["last_run_people{stored}"] == read(metrics)["gallery_people"] == 1


def test_no_person_is_forgotten_while_a_run_could_store_them_again(world: World) -> None:
    world.run()
    with holding_run_lock(Database(load_settings(None, DB_URL=world.url, IMAGE_BASE_URL="http://h")), NOW, forbid):
        assert world.run("--forget", "A1").exit_code == 4
        assert world.run("--plan").exit_code == 0
    assert world.run("--forget", "A1").exit_code == 0


def test_the_end_of_its_time_is_no_failure_and_the_next_run_goes_on(
    world: World, portrait_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patience in ("HTTP_READ_TIMEOUT_S", "HTTP_TOTAL_TIMEOUT_S"):  # or the download would fail at about that time
        monkeypatch.setenv(patience, "60")
    world.web.slow_s = 60
    world.hire("slow", "foto.jpg")
    cut = world.run("--max-minutes", "0.04")
    assert (cut.exit_code, cut.codes["slow"]) == (0, "skipped:interrupted")
    assert "Se acabó el tiempo (--max-minutes): " in cut.stdout
    world.web.slow_s, world.web.default_photo = 0, portrait_jpeg
    again = world.run()
    assert (again.exit_code, again.codes["slow"]) == (0, "stored")
    assert {row.crew_id for row in world.rows()} == {"A1", "slow"}


def test_quiet_speaks_of_what_is_new_and_of_nothing_else(world: World) -> None:
    assert world.run("--quiet").stdout == ""
    world.hire("B2", None)
    first = world.run("--quiet")
    assert (first.exit_code, "Sin foto registrada" in first.stdout) == (1, True)
    world.hire("C3", "nadie.jpg", b"<html>")
    third = world.run("--quiet")
    assert "C3" in third.stdout
    assert (world.run("--quiet").stdout, world.run("--quiet").exit_code) == ("", 1)


def test_quiet_does_not_repeat_what_fails_as_before_with_the_same_photo(world: World) -> None:
    world.hire("D4", "foto.jpg", b"<html>")
    first, again = world.run("--quiet"), world.run("--retry-failed", "--quiet")
    assert (first.codes["D4"], again.codes["D4"]) == ("failed:invalid_image",) * 2
    assert ("D4" in first.stdout, again.stdout) == (True, "")


def test_quiet_says_what_ended_a_run(world: World) -> None:
    world.dismiss_all()
    world.engine.dispose()
    result = world.run("--quiet", "--model", "NoExiste")
    assert result.exit_code == 2
    assert result.stdout.startswith("❌ ")


def test_an_error_of_ours_is_said_in_a_sentence_and_its_traceback_goes_into_the_log(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError("entre nada, en mysql://u:una-clave@h/b")

    metrics = tmp_path / "embeddings.prom"
    assert run(parse_arguments(["--metrics", str(metrics)]), broken) == 3
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first == "❌ Error inesperado: ZeroDivisionError: entre nada, en mysql://***@h/b"
    assert second == "   Qué hacer: Envíe a soporte el archivo logs/app.log."
    assert "in broken" in (world.folder / "logs" / "app.log").read_text()
    assert read(metrics)["last_run_exit_code"] == 3


@pytest.mark.parametrize("option", ["--json", "--metrics"])
def test_a_file_that_could_not_be_written_is_said_before_the_run(
    world: World, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(parse_arguments([option, "/no/hay/tal/archivo"])) == 2
    advice = f"Qué hacer: Indique en {option} la ruta completa de un archivo, en una carpeta que exista y sea suya."
    assert capsys.readouterr().out == f"❌ No se puede escribir en /no/hay/tal/archivo\n   {advice}\n"


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "media hora", ""])
def test_minutes_are_more_than_none(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments([f"--max-minutes={minutes}"])
    assert ended.value.code == 2
    assert "--max-minutes" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("target", ["-", "/dev/null", ""])
def test_metrics_replace_a_file_and_nothing_else(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments([f"--metrics={target}"])
    assert (ended.value.code, Path("/dev/null").is_char_device()) == (2, True)
    assert "--metrics" in capsys.readouterr().err.splitlines()[-1]
