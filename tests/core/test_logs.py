from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.logs import APP_LOGGER, LogOptions, Personal, configure_logs
from app.errors import SettingsError

RUN, APP = "generate_embeddings.log", "app.log"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


def lines(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def without_stamps(entries: list[str]) -> list[str]:
    assert all(re.match(STAMP, entry) for entry in entries)
    return [re.sub(f"^{STAMP}", "", entry) for entry in entries]


def test_lines_about_members_and_all_other_messages_go_to_a_file_each(tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path, 10_000, 2))
    logging.getLogger("app.run").info("✅ 789123 Peña")
    logging.getLogger("app.photos.folder_source").warning("lento")
    assert without_stamps(lines(tmp_path, RUN)) == ["INFO    ✅ 789123 Peña"]
    assert without_stamps(lines(tmp_path, APP)) == ["WARNING app.photos.folder_source: lento"]


@pytest.mark.parametrize(("debug", "expected"), [(False, []), (True, ["DEBUG   app.roster: detalle"])])
def test_details_are_logged_when_asked_for(tmp_path: Path, debug: bool, expected: list[str]) -> None:
    configure_logs(LogOptions(tmp_path, 10_000, 2, debug))
    logging.getLogger("app.roster").debug("detalle")
    assert without_stamps(lines(tmp_path, APP)) == expected


def test_no_value_of_the_roster_can_forge_an_entry(tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path, 10_000, 2))
    logging.getLogger("app.run").info("789\n2026-01-01 INFO ✅ \x1b[2J\u2028falso\x85")
    assert without_stamps(lines(tmp_path, RUN)) == [r"INFO    789\n2026-01-01 INFO ✅ \x1b[2J\u2028falso\x85"]


def test_a_traceback_follows_indented_and_cannot_forge_an_entry_either(tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path, 10_000, 2))
    try:
        raise ValueError("789\n2026-01-01 00:00:00,000 INFO    ✅ falso\x1b[2J")
    except ValueError:
        logging.getLogger("app.pipeline.thread_pipeline").exception("Error inesperado")
    first, *traceback = lines(tmp_path, APP)
    assert without_stamps([first]) == ["ERROR   app.pipeline.thread_pipeline: Error inesperado"]
    assert traceback[0] == "    Traceback (most recent call last):"
    assert traceback[-2:] == ["    ValueError: 789", r"    2026-01-01 00:00:00,000 INFO    ✅ falso\x1b[2J"]


def test_files_rotate_by_size_and_the_oldest_go(tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path, max_bytes=300, backups=2))
    for number in range(50):
        logging.getLogger("app.run").info("línea %d", number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [APP, RUN, f"{RUN}.1", f"{RUN}.2"]
    assert all((tmp_path / name).stat().st_size <= 300 for name in files)
    assert lines(tmp_path, RUN)[-1].endswith("línea 49")


def test_configuring_twice_writes_each_line_once_and_to_the_new_place(tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path / "a", 10_000, 2))
    configure_logs(LogOptions(tmp_path / "b", 10_000, 2))
    logging.getLogger("app.run").info("una vez")
    assert lines(tmp_path / "a", RUN) == []
    assert without_stamps(lines(tmp_path / "b", RUN)) == ["INFO    una vez"]


def test_other_libraries_keep_their_own_ways(tmp_path: Path) -> None:
    before = [*logging.getLogger().handlers], logging.getLogger().level
    configure_logs(LogOptions(tmp_path, 10_000, 2))
    logging.getLogger("urllib3").warning("de otros")
    assert (logging.getLogger().handlers, logging.getLogger().level) == before
    assert lines(tmp_path, APP) == []


def test_a_folder_that_cannot_be_written_is_refused_with_the_setting_to_change(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(SettingsError) as caught:
        configure_logs(LogOptions(tmp_path / "logs", 10_000, 2))
    assert str(caught.value) == f"No se puede escribir en {tmp_path / 'logs'}: ya existe y no es una carpeta"
    assert caught.value.advice == "Revise LOG_DIR y los permisos de esa carpeta."


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Set a umask with which all users may read and write new files."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_the_files_are_their_owner_s_alone_also_after_rotation(tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path / "logs", max_bytes=300, backups=1))
    for number in range(9):
        logging.getLogger("app.run").info("línea %d %s", number, "x" * 50)
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
    assert modes(tmp_path / "logs") == {APP: 0o600, RUN: 0o600, f"{RUN}.1": 0o600}


def test_a_file_that_was_given_to_others_stays_theirs_to_read_also_after_rotation(tmp_path: Path) -> None:
    (tmp_path / RUN).touch()
    (tmp_path / RUN).chmod(0o640)
    configure_logs(LogOptions(tmp_path, max_bytes=300, backups=1))
    for number in range(9):
        logging.getLogger("app.run").info("línea %d %s", number, "x" * 50)
    assert modes(tmp_path) == {APP: 0o600, RUN: 0o640, f"{RUN}.1": 0o640}


def test_a_secret_stands_in_no_line_and_no_traceback(tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path, 10_000, 2, secrets=("p@ss:/w%rd",)))
    try:
        raise ValueError("p@ss:/w%rd\nhttp://u:p%40ss%3a%2fw%25rd@h/a.jpg")
    except ValueError:
        logging.getLogger("app.faces").exception("con %s y %r", "p%40ss%3A%2Fw%25rd", "p@ss:/w%rd")
    first, *traceback = lines(tmp_path, APP)
    assert without_stamps([first]) == ["ERROR   app.faces: con *** y '***'"]
    assert traceback[-2:] == ["    ValueError: ***", "    http://***@h/a.jpg"]


NAMES = "ANA_PAZ.jpg"


@pytest.mark.parametrize(
    ("names", "line", "last"),
    [
        (True, f"7 decode 1.0 ms: invalid_image {NAMES}", f"    OSError: {NAMES}"),
        (False, "7 decode 1.0 ms: invalid_image", "    OSError"),
    ],
    ids=["with names", "without"],
)
def test_names_stay_out_of_lines_and_tracebacks_where_they_are_not_wanted(
    tmp_path: Path, names: bool, line: str, last: str
) -> None:
    configure_logs(LogOptions(tmp_path, 10_000, 2, names=names))
    try:
        try:
            raise KeyError(NAMES)
        except KeyError as error:
            raise OSError(NAMES) from error
    except OSError:
        logging.getLogger("app.pipeline.work_item").exception("7: al 100 %")
    logging.getLogger("app.run").info("%s %s %.1f ms: %s %s", "7", "decode", 1.0, "invalid_image", Personal(NAMES))
    assert without_stamps(lines(tmp_path, RUN)) == [f"INFO    {line}"]
    first, *traceback = lines(tmp_path, APP)
    assert without_stamps([first]) == ["ERROR   app.pipeline.work_item: 7: al 100 %"]
    assert traceback[-1] == last
    assert [entry for entry in traceback if entry.startswith("    KeyError")] == [
        f"    KeyError: {NAMES!r}" if names else "    KeyError"
    ]
    assert sum("test_logs.py" in entry for entry in traceback) == 2
    assert names or NAMES not in "".join(traceback)


def test_errors_that_lead_to_each_other_are_each_written_once(tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path, 10_000, 2, names=False))
    first, second = KeyError(NAMES), OSError(NAMES)
    first.__cause__, second.__cause__ = second, first
    logging.getLogger("app.pipeline.work_item").error("7", exc_info=first)
    assert [entry for entry in lines(tmp_path, APP) if "Error" in entry] == ["    OSError", "    KeyError"]


def test_the_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / APP).mkdir()
    with pytest.raises(SettingsError, match=re.escape(f"No se puede escribir en {tmp_path / APP}: ")):
        configure_logs(LogOptions(tmp_path, 10_000, 2))


def test_a_log_that_cannot_be_written_is_reported_once_and_stops_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "app.log"
    log.symlink_to("/dev/full")
    configure_logs(LogOptions(tmp_path, max_bytes=1_000_000, backups=1))
    for _ in range(3):
        logging.getLogger(APP_LOGGER).error("algo pasó")
    assert capsys.readouterr().err == f"⚠️  No se puede escribir en {log}: no queda espacio en el disco\n"
