from __future__ import annotations

import logging
import resource
from pathlib import Path

import pytest

from app.core.disk import MAKE_ROOM
from app.core.logs import APP_LOGGER, LogOptions, configure_logs
from app.errors import NotWritable
from app.photos.temp_folder import TempFolder


def test_a_log_that_cannot_be_written_is_said_once_and_stops_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "app.log"
    log.symlink_to("/dev/full")
    configure_logs(LogOptions(tmp_path, max_bytes=1_000_000, backups=1))
    for _ in range(3):
        logging.getLogger(APP_LOGGER).error("algo pasó")
    assert capsys.readouterr().err == f"⚠️  No se puede escribir en {log}: no queda espacio en el disco\n"


def test_a_photo_that_finds_no_room_ends_the_run_and_not_only_its_member(tmp_path: Path) -> None:
    folder = TempFolder(tmp_path / "temp")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(NotWritable) as caught:
            folder.write("A1", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(caught.value) == f"No se puede escribir en {tmp_path / 'temp'}: no queda espacio en el disco"
    assert (caught.value.advice, caught.value.exit_code) == (MAKE_ROOM, 3)
    folder.close()
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_folder_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    folder = TempFolder(tmp_path / "temp")
    for path in (tmp_path / "temp").iterdir():
        path.unlink()
    (tmp_path / "temp").rmdir()
    with pytest.raises(NotWritable, match="la carpeta ya no existe"):
        folder.write("A1", b"x")
    folder.close()
