"""`--check` on SQLite and a photo server: each problem has its finding, and nothing is written anywhere."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine

from app.checkup.check_database import judge_expiry
from app.checkup.check_gallery import judge_golden, judge_runs
from app.checkup.check_installation import available_bytes, check_folder, check_log_files, check_machine, judge_rights
from app.checkup.check_photos import AGAIN, check_photos
from app.checkup.check_roster import check_entries
from app.checkup.check_tables import Shape
from app.checkup.checks import run_checks
from app.checkup.finding import BROKEN, IN_ORDER, INTERRUPTED, OK, UNCHECKED, WARNING, Finding
from app.core.config import PROJECT_DIR, Settings, load_settings
from app.core.database import Database
from app.core.files import sha256_of
from app.errors import DuplicateMember, SettingsError
from app.faces.deepface_api import modeling
from app.gallery.run_history import PastRun
from app.records import CrewMember, Failed
from app.roster.folder import FolderRoster
from app.runs.run_lock import holding_run_lock
from tests.conftest import MakeSettings, OpenWorld
from tests.support.databases import create_roster
from tests.support.models import DLIB
from tests.support.tiny_faces import vector_by_hand
from tests.support.webserver import PhotoServer, serving_photos

NOW = datetime(2026, 3, 5, 8)
Findings = dict[str, Finding]
Look = Callable[..., Findings]


def look(settings: Settings | SettingsError, **subject: Any) -> Findings:
    """Run all checks and return the findings by `area.name`."""
    findings = run_checks(settings, threading.Event(), **subject)
    return {f"{finding.area}.{finding.name}": finding for finding in findings}


def levels(found: Findings, area: str) -> dict[str, str]:
    return {name.partition(".")[2]: each.level for name, each in found.items() if name.startswith(f"{area}.")}


# ------------------------------------------------------------------------------------------------ nothing is written


def everything(url: str, *folders: Path) -> tuple[Any, ...]:
    """Return all rows of all tables, and all files with their size and time."""
    engine = create_engine(url)
    schema = MetaData()
    schema.reflect(engine, resolve_fks=False)
    with engine.connect() as connection:
        rows = {
            table.name: [tuple(row) for row in connection.execute(table.select())] for table in schema.sorted_tables
        }
    engine.dispose()
    files = {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.name != "run.json"
    }
    return rows, files


@pytest.fixture
def own_home(tmp_path: Path, weights_home: Path) -> Path:
    """A DEEPFACE_HOME with weights whose hash was not recorded yet."""
    folder = tmp_path / "home" / ".deepface" / "weights"
    folder.mkdir(parents=True)
    shutil.copyfile(weights_home / ".deepface" / "weights" / DLIB, folder / DLIB)
    return tmp_path / "home"


def test_check_before_the_first_run_is_green_and_writes_nothing(
    database_url: str, open_world: OpenWorld, own_home: Path, tmp_path: Path, portrait_jpeg: bytes
) -> None:
    world = open_world(database_url, DEEPFACE_HOME=own_home)
    world.hire("1", "a.jpg", portrait_jpeg)
    before = everything(database_url, tmp_path)
    result = world.run("--check")
    assert (result.exit_code, result.document["summary"]["broken"]) == (0, 0), result.stdout
    assert "Todo listo para ejecutar" in result.stdout
    assert everything(database_url, tmp_path) == before


def test_check_after_a_run_is_green_and_writes_nothing(
    database_url: str, open_world: OpenWorld, own_home: Path, tmp_path: Path, portrait_jpeg: bytes
) -> None:
    world = open_world(database_url, DEEPFACE_HOME=own_home)
    world.hire("1", "a.jpg", portrait_jpeg)
    assert world.run("--all").exit_code == 0
    before = everything(database_url, tmp_path)
    result = world.run("--check")
    assert (result.exit_code, result.document["summary"]["not_checked"]) == (0, 0), result.stdout
    texts = {finding["name"]: finding["text"] for finding in result.document["findings"]}
    assert texts["contract"] == "vectores en uso: 1, comparables con los que calcula Dlib"
    assert texts["golden"].startswith("sale el mismo vector")
    assert everything(database_url, tmp_path) == before


def test_check_with_a_photo_folder_needs_no_database(
    open_world: OpenWorld, tmp_path: Path, portrait_jpeg: bytes
) -> None:
    folder = tmp_path / "fotos"
    (folder / "7").mkdir(parents=True)
    (folder / "7" / "a.jpg").write_bytes(portrait_jpeg)
    world = open_world(f"sqlite:///{tmp_path / 'otra.db'}")
    result = world.run("--check", "--photos", str(folder))
    assert (result.exit_code, [path.name for path in folder.iterdir()]) == (0, ["7"]), result.stdout
    assert "foto de 7" in result.stdout


def test_missing_sqlite_file_is_announced_as_created_by_the_first_run(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    found = look(make_settings(DB_URL=f"sqlite:///{tmp_path / 'nueva.db'}"), folder=FolderRoster(tmp_path))
    assert found["database.reach"].text.startswith("se creará el archivo")
    assert {found[f"{area}.all"].text for area in ("tables", "runs")} == {"se crearán en la primera ejecución"}


def test_in_sqlite_the_advice_for_long_ids_and_urls_is_to_shorten_them(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    folder = tmp_path / "x" / ("7" * 192)
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"")
    values = {"DB_URL": f"sqlite:///{tmp_path / 'nueva.db'}", "IMAGE_BASE_URL": "http://127.0.0.1:9/" + "a" * 12_300}
    Database(make_settings(**values)).connect().close()  # a file without tables
    found = look(make_settings(**values), folder=FolderRoster(tmp_path / "x"))
    findings = [found[f"roster.{name}"] for name in ("id_length", "url_length")]
    assert [each.level for each in findings] == [WARNING, WARNING]
    assert [each.advice.partition(" ")[0] for each in findings] == ["Acorte", "Acorte"]


def test_singular_and_plural_are_chosen_by_the_number() -> None:
    people = check_entries([CrewMember("7", "a.jpg", "Ana Paz")], "http://a", Shape(1, 99))
    assert [each.text for each in people] == ["1 persona activa", "el más largo tiene 1 carácter"]
    texts = [judge_expiry(NOW + timedelta(hours=hours), "de la base", NOW)[1] for hours in (1, 25, 49)]
    left = [text.partition(" vence en ")[2].partition(",")[0] for text in texts]
    assert left == ["menos de un día", "un día", "2 días"]


def test_check_prints_nothing_to_stderr(open_world: OpenWorld, tmp_path: Path, portrait_jpeg: bytes) -> None:
    world = open_world(f"sqlite:///{tmp_path / 'otra.db'}")
    world.hire("1", "a.jpg", portrait_jpeg)
    world.run("--all")
    with world.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX crew_active")
    # In a process of its own: pytest would capture what a logger without a file prints.
    words = [sys.executable, str(PROJECT_DIR / "generate_face_embeddings.py"), "--check"]
    closed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (1, "")
    assert "falta el índice por crew_id" in closed.stdout


def test_quiet_check_prints_problems_only(open_world: OpenWorld, tmp_path: Path, portrait_jpeg: bytes) -> None:
    world = open_world(f"sqlite:///{tmp_path / 'otra.db'}")
    world.hire("1", "a.jpg", portrait_jpeg)
    fine = world.run("--check", "--quiet")
    assert (fine.exit_code, fine.stdout, fine.document["summary"]["broken"]) == (0, "", 0)
    world.hire("2", None)
    world.hire("3", "a.jpg", portrait_jpeg)
    world.hire("3", "b.jpg", portrait_jpeg)
    result = world.run("--check", "--quiet")
    assert (result.exit_code, [line.strip() for line in result.stdout.splitlines()]) == (
        1,
        [
            "",
            "Padrón",
            "🟡 aviso   Repetidos         1 persona activa con identificador repetido y fotos distintas: 3",
            f"Qué hacer: {DuplicateMember.advice}",
            "",
            "🟡 Se puede ejecutar, con 1 aviso y 1 sin comprobar. Conviene atenderlos.",
        ],
    )


class Unreadable(FolderRoster):
    def active(self) -> list[CrewMember | Failed]:
        raise ValueError("the password is secreta")


def test_unexpected_error_ends_one_area_and_its_message_is_not_quoted(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    found = look(make_settings(), folder=Unreadable(tmp_path))
    assert found["roster.unexpected"].text.startswith("error inesperado: ValueError en test_checks.py, línea ")
    assert levels(found, "photos") == {"all": UNCHECKED}
    assert "secreta" not in str(found)


def test_stop_ends_the_check_and_names_the_areas_not_checked(make_settings: MakeSettings) -> None:
    stop = threading.Event()
    found = []
    for finding in run_checks(make_settings(), stop):
        found.append((finding.area, finding.name))
        if finding.area == "machine":
            stop.set()
    seen = [area for area, name in found if name != INTERRUPTED]
    assert seen == ["settings"] * (len(seen) - 1) + ["machine"]
    assert [area for area, name in found if name == INTERRUPTED] == [area.name for area in IN_ORDER[1:]]


def test_request_broken_by_a_stop_is_not_reported_as_a_server_problem(
    open_world: OpenWorld, web: PhotoServer, tmp_path: Path
) -> None:
    world = open_world(f"sqlite:///{tmp_path / 'otra.db'}", HTTP_READ_TIMEOUT_S=1)
    world.hire("slow", "a.jpg")

    def stop() -> None:
        late = time.monotonic() + 60
        while not web.heads and time.monotonic() < late:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    stopping = threading.Thread(target=stop)
    stopping.start()
    result = world.run("--check")
    stopping.join()
    assert (result.exit_code, result.document["interrupted"]) == (143, True), result.stdout
    assert result.document["summary"]["broken"] == 0
    assert result.stdout.splitlines()[-1] == (
        "⚪ Comprobación interrumpida: faltan Servidor de fotos, Modelo y Ejecuciones."
    )


# ---------------------------------------------------------------------------------------------------------- settings


def test_each_refused_setting_is_a_finding_and_later_areas_are_unchecked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, DB_PORT="x", IMAGE_BASE_URL="ftp://a")
    findings = list(run_checks(caught.value, threading.Event(), tmp_path / ".env"))
    names = [finding.text.partition(":")[0] for finding in findings if finding.name == "values"]
    assert names == ["DB_PORT", "DB_USER", "DB_NAME", "IMAGE_BASE_URL"]
    assert [finding.level for finding in findings if finding.area == "settings"] == [WARNING, *[BROKEN] * 4]
    unseen = {finding.area: finding.level for finding in findings if finding.area not in ("settings", "machine")}
    assert unseen == dict.fromkeys(("database", "tables", "roster", "photos", "model", "runs"), UNCHECKED)


def test_refused_setting_is_printed_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_world: OpenWorld
) -> None:
    world = open_world(f"sqlite:///{tmp_path / 'otra.db'}")
    monkeypatch.setenv("DOWNLOAD_THREADS", "0")
    result = world.run("--check")
    assert (result.exit_code, result.document["summary"]["broken"]) == (2, 1)
    assert "DOWNLOAD_THREADS: debe ser 1 o más" in result.stdout


def test_ineffective_lines_of_env_are_reported_without_their_values(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    env = tmp_path / ".env"
    env.write_text("DB_PASWORD=secreta\nDB_USER=a\nDB_USER=b\nesto no es nada\nZZZ=1\n", encoding="utf-8")
    env.chmod(0o644)
    findings = [each for each in run_checks(make_settings(), threading.Event(), env) if each.area == "settings"]
    assert [(each.name, each.level, each.text) for each in findings[:5]] == [
        ("env_rights", WARNING, "otros usuarios del equipo pueden leer la contraseña (permisos 0644)"),
        ("env_line", WARNING, "la línea 4 de .env no se entiende y no cuenta"),
        ("env_name", WARNING, "DB_PASWORD no es un ajuste: no cuenta"),
        ("env_twice", WARNING, "DB_USER está 2 veces: cuenta la última"),
        ("env_name", WARNING, "ZZZ no es un ajuste: no cuenta"),
    ]
    assert findings[2].advice == "¿Quiso decir DB_PASSWORD? Corríjalo en .env."
    assert "secreta" not in str(findings)
    env.chmod(0o600)
    assert look(make_settings(), env_file=env)["settings.env_rights"].level == OK


@pytest.mark.skipif(os.name != "posix", reason="rights as Unix has them")
@pytest.mark.parametrize(
    ("mode", "owner", "level", "advice"),
    [
        (0o600, 7, OK, ""),
        (0o640, 7, WARNING, "Ejecute: chmod 600 .env"),
        (0o640, 0, OK, ""),
        (0o644, 0, WARNING, f"Pida a su dueño: chgrp {os.getegid()} .env && chmod 640 .env"),
    ],
)
def test_group_may_read_env_only_if_another_user_owns_it(mode: int, owner: int, level: str, advice: str) -> None:
    status = os.stat_result((mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))
    finding = judge_rights(Path(".env"), status, 7)
    assert (finding.level, finding.advice) == (level, advice)


# ----------------------------------------------------------------------------------------------------------- machine


def test_env_example_has_only_known_settings(make_settings: MakeSettings) -> None:
    found = look(make_settings(), env_file=PROJECT_DIR / ".env.example")
    assert [name for name in levels(found, "settings") if name in ("env_name", "env_line", "env_twice")] == []


def test_unwritable_folders_and_full_disks_are_reported(tmp_path: Path) -> None:
    (tmp_path / "archivo").write_text("")

    def levels_of(folder: Path, enough: int) -> list[str]:
        return [each.level for each in check_folder("logs", folder, "LOG_DIR", enough)]

    assert levels_of(tmp_path / "archivo", 1) == [BROKEN, OK]
    assert levels_of(tmp_path / "archivo" / "dentro", 1) == [BROKEN, OK]
    assert levels_of(tmp_path / "nueva" / "carpeta", 1) == [OK, OK]
    assert levels_of(tmp_path, shutil.disk_usage(tmp_path).total * 2) == [OK, WARNING]
    assert not (tmp_path / "nueva").exists()


def test_unwritable_log_file_is_reported_and_none_is_created(tmp_path: Path) -> None:
    assert list(check_log_files(tmp_path / "nueva")) == list(check_log_files(tmp_path)) == []
    (tmp_path / "generate_embeddings.log").write_text("x")
    (tmp_path / "app.log").mkdir()  # not even the administrator writes to it
    (finding,) = check_log_files(tmp_path)
    assert (finding.level, str(tmp_path / "app.log") in finding.text) == (BROKEN, True)
    assert "sudo chown" in finding.advice


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {}, 4096),
        ("0::/", {"memory.max": "max", "memory.current": "5"}, 4096),
        ("0::/", {"memory.max": "2048", "memory.current": "1500", "memory.stat": "anon 7\ninactive_file 900"}, 1448),
        ("0::/", {"memory.max": "2048", "memory.current": "2100", "memory.stat": "inactive_file 10"}, 0),
        ("0::/a/b", {"a/memory.max": "99", "a/memory.current": "9", "a/memory.stat": "inactive_file 1"}, 91),
        (
            "5:cpu:/\n4:memory:/host/only\n0::/",
            {
                "memory/memory.limit_in_bytes": "500",
                "memory/memory.usage_in_bytes": "400",
                "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 50",
            },
            150,
        ),
    ],
)
def test_available_memory_respects_the_limits_of_control_groups(
    tmp_path: Path, own: str, files: dict[str, str], expected: int
) -> None:
    contents = {f"cgroup/{name}": text for name, text in files.items()}
    contents |= {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 4 kB", "proc/self/cgroup": own}
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_bytes(tmp_path / "proc", tmp_path / "cgroup") == expected


def test_python_versions_are_those_of_pyproject() -> None:
    assert {each.name: each.level for each in check_machine(None)}["python"] == OK
    from app.checkup.check_installation import PYTHONS

    (first, after) = PYTHONS
    assert f">={first[0]}.{first[1]},<{after[0]}.{after[1]}" in (PROJECT_DIR / "pyproject.toml").read_text()


# ------------------------------------------------------------------------------------------------------------ photos


@pytest.fixture
def at_server(web: PhotoServer, make_settings: MakeSettings, sqlite_database: Any) -> Look:
    """Return a function that checks with photos in the roster (crew id -> file name): the findings on them by name."""

    def look_for(photos: dict[str, str], **settings: object) -> Findings:
        create_roster(sqlite_database, [(crew_id, "A", "P", name, 1) for crew_id, name in photos.items()])
        values = {"IMAGE_BASE_URL": web.base_url, "FACE_DETECTOR": "opencv"} | settings
        found = look(make_settings(**values))
        return {name.partition(".")[2]: each for name, each in found.items() if name.startswith("photos.")}

    return look_for


def test_one_photo_is_downloaded_and_asked_about_before_and_after(
    web: PhotoServer, at_server: Look, portrait_jpeg: bytes
) -> None:
    web.photos |= {"1/a.jpg": portrait_jpeg, "2/b.jpg": portrait_jpeg}
    found = at_server({"1": "a.jpg", "2": "b.jpg"})
    assert {name: each.level for name, each in found.items()} == dict.fromkeys(
        ("address", "reach", "validators", "image"), OK
    )
    assert (web.heads, web.downloads) == (["/1/a.jpg"] * (1 + AGAIN), ["/1/a.jpg"])
    assert found["image"].text == "JPEG de 512 x 512 píxeles"


@pytest.mark.parametrize(
    ("photo", "name", "level"),
    [
        ({"1": "a.jpg"}, "reach", WARNING),
        ({"1": "a.jpg", "2": "a.jpg", "3": "a.jpg"}, "reach", BROKEN),
        ({"403": "a.jpg"}, "reach", WARNING),
        ({"500": "a.jpg"}, "reach", BROKEN),
        ({"reset": "a.jpg"}, "reach", BROKEN),
        ({"slow": "a.jpg"}, "reach", BROKEN),
        ({"html": "a.jpg"}, "image", WARNING),
        ({"chunks": "a.jpg"}, "validators", WARNING),
        ({"huge": "a.jpg"}, "reach", WARNING),
        ({}, "all", UNCHECKED),
    ],
)
def test_problem_of_the_photo_server_has_its_level(
    web: PhotoServer, at_server: Look, portrait_jpeg: bytes, photo: dict[str, str], name: str, level: str
) -> None:
    web.default_photo = portrait_jpeg
    rows = photo or {"9": ""}
    assert at_server(rows, MAX_PHOTO_MB=1, HTTP_READ_TIMEOUT_S=0.3, HTTP_TOTAL_TIMEOUT_S=1)[name].level == level


def test_one_missing_photo_does_not_condemn_the_server(web: PhotoServer, at_server: Look, portrait_jpeg: bytes) -> None:
    web.photos["3/c.jpg"] = portrait_jpeg
    assert at_server({"1": "a.jpg", "2": "b.jpg", "3": "c.jpg"})["reach"].level == OK


def test_sampled_photos_are_spread_over_the_roster(web: PhotoServer, at_server: Look, portrait_jpeg: bytes) -> None:
    web.photos["9/a.jpg"] = portrait_jpeg
    assert at_server({str(number): "a.jpg" for number in range(1, 10)})["reach"].level == OK
    assert web.heads == ["/1/a.jpg", "/5/a.jpg", *["/9/a.jpg"] * (1 + AGAIN)]


def test_passing_failure_of_the_photo_server_is_retried(
    web: PhotoServer, at_server: Look, portrait_jpeg: bytes
) -> None:
    web.default_photo, web.failures = portrait_jpeg, 4  # more than the HEAD request alone retries
    assert at_server({"flaky": "a.jpg"})["reach"].level == OK


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_impossible_host_name_is_no_unexpected_error(make_settings: MakeSettings, host: str) -> None:
    settings = make_settings().model_copy(update={"IMAGE_BASE_URL": f"https://{host}"})
    found = {each.name: each.level for each in check_photos(settings, [], threading.Event())}
    assert found == {"address": OK, "certificate": UNCHECKED, "all": UNCHECKED}


def test_missing_certificate_bundle_is_one_broken_finding(
    web: PhotoServer, at_server: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nada.pem"))
    found = at_server({"1": "a.jpg"}, IMAGE_BASE_URL=f"https://127.0.0.1:{web.server_port}")
    assert [each.level for each in found.values()].count(BROKEN) == 1
    assert "UnboundLocalError" not in str(found)


def test_password_in_the_url_is_mentioned_and_not_shown(web: PhotoServer, at_server: Look) -> None:
    base = web.base_url.replace("://", "://ana:secreta@")
    found = at_server({"1": "a.jpg"}, IMAGE_BASE_URL=base)
    assert found["address"].text == f"{web.base_url}, con usuario y clave en la dirección (no se muestran)"
    assert "secreta" not in str(found)


def test_unencrypted_photos_from_another_machine_are_a_warning(at_server: Look) -> None:
    found = at_server({"1": "a.jpg"}, IMAGE_BASE_URL="http://fotos.invalid/x")
    assert (found["address"].level, found["reach"].level) == (WARNING, BROKEN)


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[int], Path]:
    if shutil.which("openssl") is None:
        pytest.skip("falta openssl: apt-get install openssl")

    def make(days: int) -> Path:
        """Write a self-signed certificate for 127.0.0.1 and its key, valid for so many days."""
        path = tmp_path / f"{days}.pem"
        words = [
            *("openssl", "req", "-x509", "-nodes", "-days", str(days), "-subj", "/CN=fotos"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-newkey", "rsa:2048"),
            *("-keyout", f"{path}.key", "-out", str(path)),
        ]
        subprocess.run(words, check=True, capture_output=True)
        return path

    return make


@pytest.fixture
def encrypted(certificate: Callable[[int], Path]) -> Iterator[Callable[[int], tuple[PhotoServer, Path]]]:
    servers = []

    def serve(days: int) -> tuple[PhotoServer, Path]:
        path = certificate(days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path, f"{path}.key")
        serving = serving_photos()
        server = serving.__enter__()
        servers.append(serving)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return server, path

    yield serve
    for serving in servers:
        serving.__exit__(None, None, None)


@pytest.mark.parametrize(("days", "level"), [(100, OK), (5, WARNING)])
def test_certificate_that_expires_soon_is_a_warning(
    encrypted: Any, at_server: Look, monkeypatch: pytest.MonkeyPatch, days: int, level: str
) -> None:
    server, path = encrypted(days)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    found = at_server({"1": "a.jpg"}, IMAGE_BASE_URL=f"https://127.0.0.1:{server.server_port}")
    assert found["certificate"].level == level
    assert found["reach"].text.startswith("ninguna de las fotos pedidas (1)")


def test_self_signed_certificate_is_broken(encrypted: Any, at_server: Look) -> None:
    server, _ = encrypted(100)
    found = at_server({"1": "a.jpg"}, IMAGE_BASE_URL=f"https://127.0.0.1:{server.server_port}")
    assert (found["certificate"].level, found["reach"].level) == (BROKEN, BROKEN)
    assert found["certificate"].text.endswith("está firmado por sí mismo")


# ------------------------------------------------------------------------------------------------------------- model


def test_missing_weights_are_announced_with_their_size_and_not_downloaded(
    web: PhotoServer, make_settings: MakeSettings, tmp_path: Path
) -> None:
    web.photos[f"{DLIB}.bz2"] = b"x" * 3_000_000
    found = look(make_settings(FACE_MODEL="Dlib", DEEPFACE_HOME=str(tmp_path / "h"), WEIGHTS_MIRROR=web.base_url))
    assert found["model.weights"].level == WARNING
    assert "descarga unos 3,0 MB de 127.0.0.1" in found["model.weights"].text
    assert (web.downloads, (tmp_path / "h").exists()) == ([], False)


def test_changed_or_damaged_weights_are_broken(own_home: Path, make_settings: MakeSettings) -> None:
    settings = make_settings(FACE_MODEL="Dlib", DEEPFACE_HOME=str(own_home))
    assert look(settings)["model.weights"].text.endswith("la próxima ejecución anota su suma")
    path = own_home / ".deepface" / "weights" / DLIB
    path.with_name(f"{DLIB}.sha256").write_text("0" * 64)
    assert look(settings)["model.failed"].text.startswith("El archivo de pesos cambió")
    path.with_name(f"{DLIB}.sha256").unlink()
    path.write_bytes(b"this is no model")
    assert look(settings)["model.failed"].text.startswith("El archivo de pesos está dañado")
    assert [each.name for each in path.parent.iterdir()] == [DLIB]


def test_damaged_onnx_weights_are_reported_in_the_words_of_a_run(
    tmp_path: Path, weights_home: Path, make_settings: MakeSettings
) -> None:
    folder = tmp_path / "home" / ".deepface" / "weights"
    folder.mkdir(parents=True)
    net = folder / "facenet512_weights.onnx"
    net.write_bytes((weights_home / ".deepface" / "weights" / net.name).read_bytes()[:1000])
    settings = make_settings(FACE_MODEL="Facenet512", DEEPFACE_HOME=str(tmp_path / "home"))
    words = f"El archivo de pesos está dañado o no es del modelo: {net}"
    assert look(settings)["model.failed"].text == words
    net.with_name(f"{net.name}.sha256").write_text(sha256_of(net))
    assert look(settings)["model.failed"].text == words


def test_a_missing_package_is_reported_in_the_words_of_a_run_and_blames_no_file(
    open_world: OpenWorld, tmp_path: Path, portrait_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_world(f"sqlite:///{tmp_path / 'otra.db'}")
    world.hire("1", "a.jpg", portrait_jpeg)
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.delattr(modeling, "cached_models", raising=False)  # DeepFace keeps the clients of other tests
    (finding,) = [each for each in world.run("--check").document["findings"] if each["name"] == "failed"]
    result = world.run("--all")
    assert finding["text"] == result.document["summary"]["error"] == "Para el modelo Dlib falta el paquete dlib"
    assert (result.exit_code, "pip install dlib-bin" in finding["advice"]) == (2, True)


def test_unknown_model_is_reported_with_the_known_ones(make_settings: MakeSettings) -> None:
    assert "Facenet512" in look(make_settings(FACE_MODEL="Nada"))["model.failed"].advice


def test_active_vectors_of_another_model_are_a_warning_that_advises_migrate(
    open_world: OpenWorld, tmp_path: Path, portrait_jpeg: bytes
) -> None:
    world = open_world(f"sqlite:///{tmp_path / 'otra.db'}")
    world.hire("1", "a.jpg", portrait_jpeg)
    world.run("--all", "--model", "Facenet512")
    result = world.run("--check")
    (contract,) = [finding for finding in result.document["findings"] if finding["name"] == "contract"]
    assert (result.exit_code, contract["level"]) == (1, WARNING)
    assert contract["text"] == "vectores en uso de otro modelo, o de otros pesos, que Dlib: 1 de 1"
    assert "--migrate" in contract["advice"]


def test_golden_vector_that_moved_is_broken() -> None:
    vector = vector_by_hand(1, "Dlib")
    found = [judge_golden(vector, recorded).level for recorded in (None, vector, vector_by_hand(2, "Dlib"))]
    assert found == [OK, OK, BROKEN]


# -------------------------------------------------------------------------------------------------------------- runs

FINE = PastRun(1, NOW - timedelta(hours=6), NOW - timedelta(hours=5), "h", 1, False, {}, "", {}, 9.0, 0, "", None)


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, OK, "terminó hace 5 h (bien)"),
        ({"exit_code": 1}, OK, "(con errores)"),
        ({"exit_code": 143}, OK, "(interrumpida)"),
        ({"exit_code": 3, "error": "sin base"}, WARNING, "no pudo seguir, hace 5 h: sin base"),
        ({"ended_at": NOW - timedelta(hours=49)}, WARNING, "terminó hace 2 días"),
        ({"ended_at": NOW - timedelta(hours=47)}, OK, "terminó hace 47 h"),
        ({"ended_at": None, "exit_code": None}, WARNING, "murió sin terminar: empezó hace 6 h"),
        ({"ended_at": None, "exit_code": None, "alive": True}, OK, "en marcha en h desde hace 6 h"),
    ],
)
def test_end_of_the_last_run_has_its_level_and_words(change: dict[str, Any], level: str, words: str) -> None:
    (finding,) = judge_runs([replace(FINE, **change)], NOW)
    assert finding.level == level
    assert words in finding.text


def test_held_run_lock_and_quarantined_members_are_reported(
    database_url: str, open_world: OpenWorld, make_settings: MakeSettings, portrait_jpeg: bytes
) -> None:
    world = open_world(database_url)
    world.hire("1", "a.jpg", portrait_jpeg)
    world.run("--all")
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO face_attempts (crew_id, url, deaths) VALUES ('1', 'x', 2), ('2', 'y', 0)"
        )
    settings = make_settings(DB_URL=database_url, FACE_MODEL="Dlib", DEEPFACE_HOME=str(os.environ["DEEPFACE_HOME"]))
    with holding_run_lock(Database(settings), NOW, lambda _error: None):
        found = look(settings)
    assert found["runs.lock"].text == "hay una ejecución en marcha"
    assert (found["runs.set_aside"].level, found["runs.set_aside"].text[-3:]) == (WARNING, ": 1")
    assert look(settings)["runs.lock"].text == "libre: ninguna ejecución en marcha"


def test_runs_that_died_within_a_week_are_counted() -> None:
    dead = replace(FINE, ended_at=None, exit_code=None)
    long_ago = replace(dead, started_at=NOW - timedelta(days=8))
    assert [each.name for each in judge_runs([FINE, dead, dead, long_ago], NOW)] == ["last", "dead"]
    assert "en los últimos 7 días: 2" in list(judge_runs([FINE, dead, dead, long_ago], NOW))[1].text
    assert [each.name for each in judge_runs([FINE, long_ago], NOW)] == ["last"]
