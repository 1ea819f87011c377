"""`--check` on a real MariaDB server: it names missing rights and unsuitable columns, and its SQL mends them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from app.checkup.check_database import Server, is_loopback, judge_server
from app.checkup.checks import run_checks
from app.checkup.finding import BROKEN, OK, UNCHECKED, WARNING, Finding
from app.cli.commands.schema import schema_statements
from app.core.database import Database
from tests.conftest import MakeSettings
from tests.support.databases import create_roster, run_sql
from tests.support.mariadb import MariaDb

OWN = (
    *("face_photos", "face_vectors", "face_contracts", "face_attempts"),
    *("face_runs", "face_schema", "face_accepted_pairs"),
)
CREW = [("1", "Ana", "Paz", "a.jpg", 1), ("2", "Eva", "Sol", "b.jpg", 1)]
Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(mariadb: MariaDb, mariadb_name: str, make_settings: MakeSettings, tmp_path: Path) -> Look:
    """Return a function that checks the test's database as a user, with the findings by `area.name`."""

    def look_as(user: str = "root", **settings: object) -> dict[str, Finding]:
        url = mariadb.url(mariadb_name, user, "" if user == "root" else "clave")
        # A folder without photos, for a server that does not answer is asked again for seconds.
        values = {"DB_URL": url.render_as_string(hide_password=False), "IMAGE_BASE_URL": tmp_path.as_uri()}
        findings = list(run_checks(make_settings(FACE_DETECTOR="opencv", **values | settings), threading.Event()))
        return {f"{finding.area}.{finding.name}": finding for finding in findings}

    return look_as


@pytest.fixture
def prepared(mariadb_database: Database, mariadb_name: str, mariadb: MariaDb, make_settings: MakeSettings) -> Database:
    """A database with all tables and a roster."""
    create_roster(mariadb_database, CREW)
    url = mariadb.url(mariadb_name).render_as_string(hide_password=False)
    for statement in schema_statements(make_settings(DB_URL=url)):
        run_sql(mariadb_database, statement)
    return mariadb_database


def obey(database: Database, finding: Finding) -> None:
    """Execute the SQL of an advice, as the administrator would."""
    statements = [line for line in finding.advice.splitlines() if line.endswith(";")]
    assert statements, finding
    for statement in statements:
        run_sql(database, statement)


def bare(mariadb: MariaDb, base: str, *grants: str) -> str:
    """Create a user with only these rights and return its name."""
    mariadb.create_user("pobre", "clave", f"USAGE ON {base}.*", *(grant.format(base=base) for grant in grants))
    return "pobre"


# --------------------------------------------------------------------------------------------------------- rights


def test_rights_from_the_documents_suffice(mariadb: MariaDb, mariadb_name: str, prepared: Database, look: Look) -> None:
    own = [f"SELECT, INSERT, UPDATE, DELETE ON {{base}}.{table}" for table in OWN]
    gallery = "SELECT, INSERT, UPDATE ON {base}.face_embeddings"
    found = look(bare(mariadb, mariadb_name, "SELECT ON {base}.tripulantes", gallery, *own))
    rights = [found[name] for name in ("tables.gallery_rights", "tables.own_rights", "roster.table")]
    assert [finding.level for finding in rights] == [OK, OK, OK]
    assert rights[0].text == "SELECT, INSERT, UPDATE; sin DELETE, que solo piden --purge-after y --forget"
    assert found["tables.version"].level == OK


def test_missing_rights_are_named_and_the_advised_grants_give_them(
    mariadb: MariaDb, mariadb_name: str, prepared: Database, look: Look
) -> None:
    own = [f"SELECT, INSERT, UPDATE, DELETE ON {{base}}.{table}" for table in OWN[1:]]
    some = ["SELECT, INSERT ON {base}.face_embeddings", "SELECT, DELETE ON {base}.face_photos"]
    user = bare(mariadb, mariadb_name, *some, *own)
    found = look(user)
    lacking = [found[name] for name in ("tables.gallery_rights", "tables.own_rights", "roster.table")]
    assert [finding.level for finding in lacking] == [BROKEN, BROKEN, BROKEN]
    assert [finding.advice.splitlines()[-1] for finding in lacking] == [
        f"GRANT UPDATE ON `{mariadb_name}`.`face_embeddings` TO 'pobre'@'%';",
        f"GRANT INSERT, UPDATE ON `{mariadb_name}`.`face_photos` TO 'pobre'@'%';",
        f"GRANT SELECT ON `{mariadb_name}`.`tripulantes` TO 'pobre'@'%';",
    ]
    for finding in lacking:
        obey(prepared, finding)
    after = look(user)
    assert [after[f"{each.area}.{each.name}"].level for each in lacking] == [OK, OK, OK]


@pytest.mark.parametrize("how", ["role", "wildcard", "columns"])
def test_rights_from_roles_wildcards_and_columns_count(
    mariadb: MariaDb, mariadb_name: str, prepared: Database, look: Look, how: str
) -> None:
    if how == "columns":
        columns = "crew_id, imagen, nombres, apellidos, estatus"
        user = bare(mariadb, mariadb_name, "ALL PRIVILEGES ON {base}.*", f"SELECT ({columns}) ON {{base}}.tripulantes")
    elif how == "wildcard":
        user = bare(mariadb, mariadb_name, "ALL PRIVILEGES ON `prueba\\_%`.*")
    else:
        user = bare(mariadb, mariadb_name)
        mariadb.need_mysql(8, 0, of="ROLE")
        mariadb.execute("DROP ROLE IF EXISTS escribiente")
        mariadb.execute("CREATE ROLE escribiente")
        mariadb.execute(f"GRANT ALL PRIVILEGES ON {mariadb_name}.* TO escribiente")
        mariadb.execute(f"GRANT escribiente TO {user}@'%'")
        mariadb.execute(f"SET DEFAULT ROLE escribiente {'FOR' if mariadb.is_mariadb else 'TO'} {user}@'%'")
    found = look(user)
    names = ("tables.gallery_rights", "tables.own_rights", "roster.table")
    assert [found[name].level for name in names] == [OK, OK, OK]


@pytest.mark.parametrize(
    ("grant", "missing"),
    [
        ("SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON {base}.*", ""),
        ("ALL PRIVILEGES ON `prueba\\_%`.*", ""),
        ("SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON {base}.*", ""),
        ("SELECT, INSERT, UPDATE, DELETE, CREATE ON {base}.*", "INDEX"),
        ("SELECT, UPDATE, DELETE, ALTER ON {base}.*", "CREATE, INDEX, INSERT"),
    ],
)
def test_missing_tables_are_broken_only_without_the_right_to_create_them(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database, look: Look, grant: str, missing: str
) -> None:
    create_roster(mariadb_database, CREW)
    user = bare(mariadb, mariadb_name, grant)
    finding = look(user)["tables.to_create"]
    assert finding.level == (BROKEN if missing else OK)
    if missing:
        assert finding.advice.splitlines()[-1] == f"GRANT {missing} ON `{mariadb_name}`.* TO 'pobre'@'%';"
        obey(mariadb_database, finding)
        assert look(user)["tables.to_create"].level == OK


@pytest.mark.parametrize(
    ("right", "level"), [("ALTER, CREATE", OK), ("CREATE", BROKEN), ("ALTER", BROKEN), ("INDEX", BROKEN)]
)
def test_only_a_change_of_the_tables_takes_the_right_to_alter_them(
    mariadb: MariaDb, mariadb_name: str, prepared: Database, look: Look, right: str, level: str
) -> None:
    user = bare(mariadb, mariadb_name, f"SELECT, INSERT, UPDATE, DELETE, {right} ON {{base}}.*")
    assert look(user)["tables.version"].level == OK
    run_sql(prepared, "UPDATE face_schema SET version = 4")
    assert look(user)["tables.to_create"].level == level


def test_areas_that_need_the_database_are_unchecked_without_it(look: Look) -> None:
    found = look(DB_HOST="127.0.0.1", DB_URL="mysql://ana:secreta@127.0.0.1:1/base")
    levels = {name: finding.level for name, finding in found.items()}
    assert levels["database.failed"] == BROKEN
    assert {levels[name] for name in ("tables.all", "roster.all", "photos.all", "runs.all")} == {UNCHECKED}
    assert "secreta" not in str(found)


# ---------------------------------------------------------------------------------------------------------- shape


@pytest.mark.parametrize(
    ("change", "name", "level"),
    [
        ("ENGINE = MyISAM", "tables.engine", WARNING),
        ("MODIFY confidence DECIMAL(2,2)", "tables.confidence", BROKEN),
        ("MODIFY confidence DECIMAL(3,1)", "tables.confidence", WARNING),
        ("MODIFY embedding TINYTEXT", "tables.embedding", BROKEN),
        ("MODIFY embedding VARCHAR(4000)", "tables.embedding", BROKEN),
        ("ADD COLUMN turno INT NOT NULL", "tables.stranger", BROKEN),
        ("MODIFY created_at DATETIME NOT NULL", "tables.stranger", BROKEN),
        ("MODIFY confidence INT", "tables.confidence", WARNING),
        ("MODIFY id BIGINT", "tables.id", BROKEN),
        ("DROP INDEX crew_active", "tables.index", WARNING),
        ("ADD UNIQUE KEY solo (crew_id)", "tables.unique", WARNING),
        ("MODIFY crew_id VARCHAR(1) NOT NULL", "roster.id_length", WARNING),
        ("MODIFY crew_id INT NOT NULL", "roster.id_kind", WARNING),
        ("MODIFY imagen_path VARCHAR(20)", "roster.url_length", WARNING),
        ("MODIFY crew_id VARCHAR(10) CHARACTER SET latin1 NOT NULL", "roster.charset", WARNING),
        ("MODIFY crew_id VARCHAR(10) NOT NULL", "roster.equal_ids", WARNING),
    ],
)
def test_unsuitable_column_is_reported_and_the_advised_sql_mends_it(
    prepared: Database, look: Look, change: str, name: str, level: str
) -> None:
    kinds = {"roster.charset": "Ω", "roster.equal_ids": "ab", "roster.id_kind": "007"}
    if name.startswith("roster"):
        for crew_id in ("10", kinds.get(name, "x"), kinds.get(name, "x").upper()):
            run_sql(prepared, "INSERT INTO tripulantes VALUES (:a, 'Ana', 'Paz', 'a.jpg', 1)", {"a": crew_id})
    run_sql(prepared, f"ALTER TABLE face_embeddings {change}")
    finding = look()[name]
    assert finding.level == level
    obey(prepared, finding)
    assert look().get(name, Finding("", "", OK, "")).level == OK


@pytest.mark.parametrize("kind", ["TEXT", "MEDIUMTEXT", "LONGTEXT", "JSON", "VARCHAR(9000)"])
def test_embedding_column_may_have_any_large_text_type(
    mariadb: MariaDb, prepared: Database, look: Look, kind: str
) -> None:
    mariadb.need_kinds(kind)
    run_sql(prepared, f"ALTER TABLE face_embeddings MODIFY embedding {kind} NOT NULL")
    assert look()["tables.columns"].level == OK


def test_an_own_table_without_transactions_is_reported_too(prepared: Database, look: Look) -> None:
    run_sql(prepared, "ALTER TABLE face_runs ENGINE = MyISAM")
    finding = look()["tables.engine"]
    assert (finding.level, finding.advice) == (WARNING, "ALTER TABLE face_runs ENGINE = InnoDB;")
    assert "face_runs (MyISAM)" in finding.text


@pytest.mark.parametrize(
    ("ids", "status", "rows", "equal"),
    [
        ("VARBINARY(9)", "INT", "('ñ', 1), ('ab', 1), ('AB', 1)", "ab=AB"),
        ("BINARY(9)", "BINARY(3)", "('ñ', '1'), ('ab', '1'), ('AB', '1'), ('AÑ', '0')", "ab=AB"),
        ("VARCHAR(9)", "ENUM('0', '1')", "('ñ', '1'), ('ab', '0'), ('AB', '1'), ('cd', '1'), ('Cd', '1')", "cd=Cd"),
        ("VARCHAR(9)", "BIT(1)", "('ñ', 1), ('cd', 1), ('Cd', 1)", "cd=Cd"),
        ("DOUBLE", "INT", "(789100, 1)", ""),
        ("INT(6) ZEROFILL", "INT", "(101, 1)", ""),
    ],
)
def test_ids_and_states_of_any_type_are_compared_as_a_run_does(
    prepared: Database, look: Look, ids: str, status: str, rows: str, equal: str
) -> None:
    run_sql(prepared, "DELETE FROM tripulantes")
    run_sql(prepared, f"ALTER TABLE tripulantes MODIFY crew_id {ids}, MODIFY estatus {status}")
    run_sql(prepared, f"INSERT INTO tripulantes (crew_id, estatus) VALUES {rows}")  # noqa: S608
    run_sql(prepared, "ALTER TABLE face_embeddings MODIFY crew_id VARCHAR(10) CHARACTER SET latin1 NOT NULL")
    found = look()
    assert "roster.charset" not in found
    assert found["roster.equal_ids"].level == (WARNING if equal else OK)
    assert set(found["roster.equal_ids"].text.rpartition(" ")[2].split("=")) >= set(filter(None, equal.split("=")))


def test_missing_column_and_tables_of_a_newer_program_are_broken(prepared: Database, look: Look) -> None:
    run_sql(prepared, "ALTER TABLE face_embeddings DROP COLUMN modelo")
    assert look()["tables.columns"].text == "a face_embeddings le falta modelo"
    run_sql(prepared, "INSERT INTO face_schema VALUES (99)")
    assert look()["tables.version"].level == BROKEN


def test_active_value_that_no_row_has_is_reported_with_the_existing_ones(prepared: Database, look: Look) -> None:
    finding = look(ROSTER_ACTIVE_VALUE="7")["roster.active"]
    assert (finding.level, finding.text) == (BROKEN, "nadie tiene estatus = 7. Valores que hay: «1» (2)")


def test_members_that_fail_for_their_roster_entry_are_counted(prepared: Database, look: Look) -> None:
    rows = [("3", ""), ("4", "x.jpg"), ("4", "y.jpg"), ("5", "../z.jpg")]
    for crew_id, photo in rows:
        run_sql(prepared, "INSERT INTO tripulantes VALUES (:a, 'A', 'P', :b, 1)", {"a": crew_id, "b": photo})
    found = look()
    assert {name: found[f"roster.{name}"].text for name in ("active", "no_photo", "duplicate_ids", "bad_names")} == {
        "active": "5 personas activas",
        "no_photo": "1 persona activa sin foto registrada: 3",
        "duplicate_ids": "1 persona activa con identificador repetido y fotos distintas: 4",
        "bad_names": "1 persona activa con nombre de archivo o identificador no permitido: 5",
    }


# --------------------------------------------------------------------------------------------------------- server


def server(**what: object) -> Server:
    values = {
        "version": "10.11.6-MariaDB",
        "numbers": (10, 11, 6),
        "is_mariadb": True,
        "latency_ms": 1.0,
        "drift": timedelta(0),
        "cipher": "TLS_AES_256_GCM_SHA384",
        "certificate_until": None,
        "variables": {"max_allowed_packet": "16777216", "wait_timeout": "28800", "read_only": "OFF"},
        "grants": ("GRANT USAGE ON *.* TO `a`@`%`",),
    }
    return Server(**values | what)  # type: ignore[arg-type]


def levels(of: Server, *, is_near: bool = False, tls: str = "auto", batch: int = 32) -> dict[str, str]:
    return {finding.name: finding.level for finding in judge_server(of, tls, is_near=is_near, batch=batch)}


def test_good_server_is_all_green() -> None:
    assert set(levels(server()).values()) == {OK}


def soon(days: int) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=days)


@pytest.mark.parametrize(
    ("what", "name", "level"),
    [
        ({"numbers": (10, 6, 22)}, "version", WARNING),
        ({"numbers": (5, 5, 62), "is_mariadb": False}, "version", WARNING),
        ({"numbers": (5, 6, 24), "is_mariadb": False}, "version", OK),
        ({"latency_ms": 101.0}, "latency", WARNING),
        ({"drift": timedelta(seconds=-61)}, "clock", WARNING),
        ({"drift": timedelta(hours=2)}, "clock", WARNING),
        ({"cipher": ""}, "encryption", WARNING),
        ({"certificate_until": soon(20)}, "certificate", WARNING),
        ({"certificate_until": soon(-1)}, "certificate", WARNING),
        ({"certificate_until": soon(30)}, "certificate", OK),
        ({"variables": {"max_allowed_packet": "16777216", "wait_timeout": "59"}}, "wait_timeout", WARNING),
    ],
)
def test_weakness_of_the_server_has_its_level(what: dict[str, object], name: str, level: str) -> None:
    assert levels(server(**what))[name] == level


def test_unencrypted_connection_within_the_machine_is_ok() -> None:
    assert levels(server(cipher=""), is_near=True)["encryption"] == OK
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "db.example", "10.0.0.1")] == [
        *[True] * 3,
        *[False] * 2,
    ]


@pytest.mark.parametrize("value", ["ON", "1"])
def test_read_only_server_is_a_warning_for_a_user_who_can_still_write(value: str) -> None:
    variables = server().variables | {"read_only": value}  # type: ignore[operator]
    assert levels(server(variables=variables))["read_only"] == BROKEN
    assert levels(server(variables=variables, grants=("GRANT SUPER ON *.* TO a",)))["read_only"] == WARNING
    for name in ("innodb_read_only", "super_read_only"):
        closed = variables | {name: "ON"}
        assert levels(server(variables=closed, grants=("GRANT SUPER ON *.* TO a",)))["read_only"] == BROKEN


@pytest.fixture
def closed_server(mariadb: MariaDb) -> Iterator[None]:
    mariadb.execute("SET GLOBAL read_only = ON")
    yield
    mariadb.execute("SET GLOBAL read_only = OFF")


def test_real_read_only_server_is_reported(
    closed_server: None, mariadb: MariaDb, mariadb_name: str, prepared: Database, look: Look
) -> None:
    user = bare(mariadb, mariadb_name, "ALL PRIVILEGES ON {base}.*")
    assert look(user)["database.read_only"].level == BROKEN
    assert look()["database.read_only"].level == WARNING


@pytest.fixture
def narrow_server(mariadb: MariaDb) -> Iterator[Callable[[int], None]]:
    """Return a function that sets the largest statement that the server accepts, in bytes."""
    ((usual,),) = mariadb.execute("SELECT @@GLOBAL.max_allowed_packet")

    def take(most_bytes: int) -> None:
        mariadb.execute(f"SET GLOBAL max_allowed_packet = {most_bytes}")

    yield take
    take(usual)


def test_small_max_allowed_packet_is_reported(
    narrow_server: Callable[[int], None], prepared: Database, look: Look
) -> None:
    narrow_server(2**20)
    assert look()["database.packet"].level == OK
    assert look(BATCH_SIZE=100)["database.packet"].level == WARNING
    narrow_server(2**19)
    refused = look()["database.failed"]
    assert (refused.level, "max_allowed_packet" in refused.text) == (BROKEN, True)
