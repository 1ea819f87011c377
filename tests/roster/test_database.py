from __future__ import annotations

import pytest

from app.core.config import RosterSettings
from app.core.database import ADVICE, TABLE_DENIED, Database
from app.errors import DatabaseUnavailable, MemberNotProcessable, NoPhoto, SettingsError
from app.records import CrewMember, Failed
from app.roster.database import DatabaseRoster
from tests.conftest import OpenDatabase
from tests.support.databases import Row, create_roster, run_sql
from tests.support.mariadb import MariaDb

ROWS: list[Row] = [
    ("789125", "José", "Núñez", "año #1 100%.jpg", 1),
    ("789123", "Ana", "Peña", "FAED(1).jpg", 1),
    ("789124", "Eva", "Ida", "eva.jpg", 0),
    ("789126", None, None, None, 1),
    ("789127", "Sin", "Foto", "   ", 1),
    ("789128", "Leo", None, " leo.jpg ", 1),
    ("789129", "Sin", "Estado", "x.jpg", None),
]


def roster(database: Database, **settings: str) -> DatabaseRoster:
    return DatabaseRoster(RosterSettings(**settings), database)


def complaint(database: Database, crew_id: str, **settings: str) -> tuple[str, str]:
    with pytest.raises(MemberNotProcessable) as caught:
        roster(database, **settings).find(crew_id)
    assert caught.value.exit_code == 1
    return str(caught.value), caught.value.advice


# ------------------------------------------------------------------------------------------------------ everyone


def test_the_active_are_given_in_the_order_of_their_ids(database: Database) -> None:
    create_roster(database, ROWS)
    assert roster(database).active() == [
        CrewMember("789123", "FAED(1).jpg", "Ana Peña"),
        CrewMember("789125", "año #1 100%.jpg", "José Núñez"),
        Failed(CrewMember("789126", "", ""), "roster", "no_photo"),
        Failed(CrewMember("789127", "", "Sin Foto"), "roster", "no_photo"),
        CrewMember("789128", "leo.jpg", "Leo"),
    ]


def test_ids_that_are_numbers_are_given_in_the_order_of_numbers(database: Database) -> None:
    create_roster(
        database,
        [(number, "Ana", "A", "a.jpg", 1) for number in (10, 9, 100)],
        "crew_id INT, nombres TEXT, apellidos TEXT, imagen TEXT, estatus INT",
    )
    assert [entry.crew_id for entry in roster(database).active()] == ["9", "10", "100"]


def test_an_empty_roster_has_no_members(database: Database) -> None:
    create_roster(database, [])
    assert roster(database).active() == []


def test_an_id_that_stands_twice_counts_once_and_with_two_photos_not_at_all(database: Database) -> None:
    rows = [
        *[("1", "Ana", "A", "ana.jpg", 1), ("1", "Ana", "A", "ana.jpg", 1)],
        *[("2", "Eva", "B", "b.jpg", 1), ("2", "Eva", "B", "a.jpg", 1)],
        *[("3", "Leo", "C", "c.jpg", 1), ("3", "Leo", "C", "otra.jpg", 0)],
    ]
    create_roster(database, rows)
    detail = "2 filas con fotos distintas: a.jpg, b.jpg"
    assert roster(database).active() == [
        CrewMember("1", "ana.jpg", "Ana A"),
        Failed(CrewMember("2", "b.jpg", "Eva B"), "roster", "duplicate_member", detail),
        CrewMember("3", "c.jpg", "Leo C"),
    ]


def test_tables_and_columns_may_have_any_names(database: Database) -> None:
    columns = '"el id" VARCHAR(9), "select" VARCHAR(9), "año" VARCHAR(9), "a.b(c)" VARCHAR(9), "x:y" VARCHAR(9)'
    if database.is_mysql:
        columns = columns.replace('"', "`")
    quote = "`" if database.is_mysql else '"'
    run_sql(database, f"CREATE TABLE {quote}mi personal{quote} ({columns.replace(':', chr(92) + ':')})")
    insert = f"INSERT INTO {quote}mi personal{quote} VALUES (:a, :b, :c, :d, :e)"  # noqa: S608
    run_sql(database, insert, {"a": "7", "b": "f.jpg", "c": "Ana", "d": "Paz", "e": "ALTA"})
    run_sql(database, insert, {"a": "8", "b": "g.jpg", "c": "Eva", "d": "Sol", "e": "BAJA"})
    parts = {"ID": "el id", "PHOTO": "select", "NAMES": "año", "SURNAMES": "a.b(c)", "STATUS": "x:y"}
    names = {f"ROSTER_{part}_COLUMN": column for part, column in parts.items()}
    found = roster(database, ROSTER_TABLE="mi personal", ROSTER_ACTIVE_VALUE="ALTA", **names).active()
    assert found == [CrewMember("7", "f.jpg", "Ana Paz")]


def test_the_table_may_be_named_with_its_database(database: Database) -> None:
    create_roster(database, ROWS)
    base = database.url.database if database.is_mysql else "main"
    assert roster(database, ROSTER_TABLE=f"{base}.tripulantes").active() == roster(database).active()
    error = unavailable(database, ROSTER_TABLE=f"{base}.personal")
    assert str(error).endswith(f": no existe la tabla {base}.personal. Existen: tripulantes")


def test_a_broken_view_is_said_in_either_kind_of_database(database: Database) -> None:
    create_roster(database, ROWS)
    run_sql(database, "CREATE VIEW personal AS SELECT * FROM tripulantes")
    run_sql(database, "DROP TABLE tripulantes")
    error = unavailable(database, ROSTER_TABLE="personal")
    assert "SQL:" not in str(error)
    assert "personal" in str(error) or "tripulantes" in str(error)


def test_the_roster_may_be_a_view(database: Database) -> None:
    create_roster(database, ROWS)
    run_sql(database, "CREATE VIEW personal AS SELECT * FROM tripulantes WHERE crew_id < '789125'")
    assert roster(database, ROSTER_TABLE="personal").active() == [CrewMember("789123", "FAED(1).jpg", "Ana Peña")]


@pytest.mark.filterwarnings("ignore:Could not instantiate type")  # SQLAlchemy's, of TINYINT(1) in SQLite
@pytest.mark.parametrize(
    ("kind", "values", "active"),
    [
        ("INT", (1, 0), "1"),
        ("TINYINT(1)", (1, 0), "1"),
        ("DECIMAL(3,1)", (1, 0), "1"),
        ("BOOLEAN", (1, 0), "1"),
        ("BOOLEAN", (0, 1), "0"),
        ("VARCHAR(9)", ("1", "0"), "1"),
        ("CHAR(3)", ("A", "B"), "A"),
        ("INT", (20, 2), "20"),
    ],
)
def test_the_status_may_have_any_type(
    database: Database, kind: str, values: tuple[object, object], active: str
) -> None:
    columns = f"crew_id INT, nombres TEXT, apellidos TEXT, imagen TEXT, estatus {kind}"
    create_roster(database, [(1, "Ana", "A", "a.jpg", values[0]), (2, "Eva", "B", "b.jpg", values[1])], columns)
    assert roster(database, ROSTER_ACTIVE_VALUE=active).active() == [CrewMember("1", "a.jpg", "Ana A")]


def test_the_status_may_be_a_bit_or_an_enumeration(mariadb_database: Database) -> None:
    columns = "crew_id INT, nombres TEXT, apellidos TEXT, imagen TEXT, estatus BIT(1), alta ENUM('no', 'sí')"
    run_sql(mariadb_database, f"CREATE TABLE tripulantes ({columns})")
    run_sql(mariadb_database, "INSERT INTO tripulantes VALUES (1,'Ana','A','a',1,'sí'), (2,'Eva','B','b',0,'no')")
    assert roster(mariadb_database).active() == [CrewMember("1", "a", "Ana A")]
    left = roster(mariadb_database, ROSTER_STATUS_COLUMN="alta", ROSTER_ACTIVE_VALUE="no").active()
    assert left == [CrewMember("2", "b", "Eva B")]


@pytest.mark.parametrize(
    ("kind", "active", "left", "setting"),
    [
        ("ENUM('0', '1')", "'1'", "'0'", "1"),  # the label 1 is the value of index 2
        ("ENUM('1', '0')", "'1'", "'0'", "1"),
        ("ENUM('2', '1')", "'1'", "'2'", "1"),
        ("ENUM('ACTIVO', 'BAJA')", "'ACTIVO'", "'BAJA'", "activo"),  # as the database compares
        ("SET('a', 'b')", "'a,b'", "'a'", "a,b"),
        ("CHAR(3)", "'S'", "'N'", "S"),
        ("VARBINARY(9)", "'sí'", "'no'", "sí"),
        ("BINARY(9)", "'S'", "'N'", "S"),
        ("BLOB", "'S'", "'N'", "S"),
        ("BIT(1)", "1", "0", "1"),
        ("BIT(8)", "49", "1", "49"),  # 49 is the character 1
        ("INT(2) ZEROFILL", "1", "0", "01"),
        ("DECIMAL(3,1)", "1.5", "1", "1.5"),
        ("DOUBLE", "1", "0", "1.0"),
        ("YEAR", "2026", "2025", "2026"),
        ("DATE", "'2026-01-02'", "'2026-01-03'", "2026-01-02"),
    ],
)
def test_the_status_means_what_the_database_shows(
    mariadb_database: Database, kind: str, active: str, left: str, setting: str
) -> None:
    columns = "crew_id INT, nombres TEXT, apellidos TEXT, imagen TEXT, estatus"
    run_sql(mariadb_database, f"CREATE TABLE tripulantes ({columns} {kind})")
    rows = f"(1, 'Ana', 'A', 'a', {active}), (2, 'Eva', 'B', 'b', {left}), (3, 'Leo', 'C', 'c', NULL)"
    run_sql(mariadb_database, f"INSERT INTO tripulantes VALUES {rows}")  # noqa: S608
    read = roster(mariadb_database, ROSTER_ACTIVE_VALUE=setting)
    assert read.active() == [CrewMember("1", "a", "Ana A")]
    assert complaint(mariadb_database, "2", ROSTER_ACTIVE_VALUE=setting)[0].startswith(
        "El tripulante 2 está inactivo (estatus distinto de"
    )


@pytest.mark.parametrize("kind", ["ENUM('a', 'b')", "DATE", "VARBINARY(3)", "BINARY(3)", "CHAR(3)"])
def test_a_status_that_the_column_cannot_have_is_nobody_s(mariadb_database: Database, kind: str) -> None:
    columns = "crew_id INT, nombres TEXT, apellidos TEXT, imagen TEXT, estatus"
    run_sql(mariadb_database, f"CREATE TABLE tripulantes ({columns} {kind})")
    run_sql(mariadb_database, "INSERT INTO tripulantes VALUES (1, 'Ana', 'A', 'a', NULL)")
    assert roster(mariadb_database, ROSTER_ACTIVE_VALUE="1").active() == []


def test_the_values_that_the_status_has_are_shown_as_text(mariadb_database: Database) -> None:
    run_sql(
        mariadb_database,
        "CREATE TABLE tripulantes (crew_id INT, nombres TEXT, apellidos TEXT, imagen TEXT, estatus BINARY(6))",
    )
    rows = "(1, 'A', 'A', 'a', 'sí'), (2, 'B', 'B', 'b', 'sí'), (3, 'C', 'C', 'c', 'no'), (4, 'D', 'D', 'd', NULL)"
    run_sql(mariadb_database, f"INSERT INTO tripulantes VALUES {rows}")  # noqa: S608
    assert roster(mariadb_database).count_statuses(1) == [("sí", 2)]
    assert sorted(roster(mariadb_database).count_statuses(9)) == [("", 1), ("no", 1), ("sí", 2)]


def test_a_word_for_a_status_that_is_a_number_is_refused(database: Database) -> None:
    """MySQL would compare the word as 0, so that members who left would be enrolled."""
    create_roster(database, ROWS)
    with pytest.raises(SettingsError, match=r"^ROSTER_ACTIVE_VALUE: «activo» no puede ser: la columna estatus guarda"):
        roster(database, ROSTER_ACTIVE_VALUE="activo").active()


# ------------------------------------------------------------------------------------------------------- one


def test_one_member_is_found(database: Database) -> None:
    create_roster(database, ROWS)
    assert roster(database).find("789123") == CrewMember("789123", "FAED(1).jpg", "Ana Peña")


@pytest.mark.parametrize("crew_id", ["7", "789123x", "' OR 1=1 --", "%"])
def test_an_unknown_member_is_reported_as_unknown(database: Database, crew_id: str) -> None:
    create_roster(database, ROWS)
    message = f"El tripulante {crew_id} no existe en la tabla tripulantes"
    assert complaint(database, crew_id) == (message, "Revise el identificador.")


def test_ids_that_are_numbers_are_found_by_the_whole_number_alone(database: Database) -> None:
    columns = "crew_id INT, nombres TEXT, apellidos TEXT, imagen TEXT, estatus INT"
    create_roster(database, [(789, "Ana", "A", "a.jpg", 1)], columns)
    assert roster(database).find("789") == CrewMember("789", "a.jpg", "Ana A")
    assert complaint(database, "789x")[0] == "El tripulante 789x no existe en la tabla tripulantes"


@pytest.mark.parametrize("crew_id", ["789124", "789129"])
def test_an_inactive_member_is_reported_as_inactive(database: Database, crew_id: str) -> None:
    create_roster(database, ROWS)
    assert complaint(database, crew_id) == (
        f"El tripulante {crew_id} está inactivo (estatus distinto de 1)",
        "Solo se procesan tripulantes activos: actívelo en el padrón si corresponde.",
    )


@pytest.mark.parametrize("crew_id", ["789126", "789127"])
def test_a_member_without_photo_is_reported_as_such(database: Database, crew_id: str) -> None:
    create_roster(database, ROWS)
    assert complaint(database, crew_id) == (f"El tripulante {crew_id} no tiene foto registrada", NoPhoto.advice)


def test_one_member_with_two_photos_fails_like_among_everyone(database: Database) -> None:
    create_roster(database, [("2", "Eva", "B", "b.jpg", 1), ("2", "Eva", "B", "a.jpg", 1)])
    assert roster(database).find("2") == roster(database).active()[0]


def test_of_one_member_s_rows_only_the_active_one_counts(database: Database) -> None:
    create_roster(database, [("2", "Eva", "B", "vieja.jpg", 0), ("2", "Eva", "B", "nueva.jpg", 1)])
    assert roster(database).find("2") == CrewMember("2", "nueva.jpg", "Eva B")


# ------------------------------------------------------------------------------------- a table not as described


def unavailable(database: Database, **settings: str) -> DatabaseUnavailable:
    with pytest.raises(DatabaseUnavailable) as caught:
        roster(database, **settings).active()
    assert str(caught.value).startswith("Conexión a base de datos: ")
    assert caught.value.exit_code == 3
    return caught.value


def test_a_missing_table_is_named_and_what_exists_instead(database: Database) -> None:
    create_roster(database, ROWS)
    run_sql(database, "CREATE TABLE aviones (n INT)")
    run_sql(database, "CREATE VIEW personal AS SELECT * FROM tripulantes")
    error = unavailable(database, ROSTER_TABLE="tripulante")
    assert str(error).endswith(": no existe la tabla tripulante. Existen: aviones, personal, tripulantes")
    assert error.advice == "Corrija ROSTER_TABLE en .env, o el permiso SELECT del usuario."


def test_in_an_empty_database_there_is_nothing_to_name(database: Database) -> None:
    assert str(unavailable(database)).endswith(
        ": no existe la tabla tripulantes. Existen: nada que este usuario pueda ver"
    )


def test_of_many_tables_only_some_are_named(sqlite_database: Database) -> None:
    for number in range(30):
        run_sql(sqlite_database, f"CREATE TABLE t{number:02} (n INT)")
    names = ", ".join(f"t{number:02}" for number in range(20))
    assert str(unavailable(sqlite_database)).endswith(f"Existen: {names}")


def test_missing_columns_are_named_and_what_exists_instead(database: Database) -> None:
    create_roster(database, ROWS)
    error = unavailable(database, ROSTER_PHOTO_COLUMN="foto", ROSTER_STATUS_COLUMN="activo")
    assert str(error).endswith(
        ": la tabla tripulantes no tiene la columna foto, activo. Existen: apellidos, crew_id, estatus, imagen, nombres"
    )
    assert error.advice == "Corrija ROSTER_*_COLUMN en .env, o el permiso SELECT del usuario."


@pytest.mark.parametrize("grant", ["SELECT ON {name}.aviones", "INSERT ON {name}.tripulantes"])
def test_a_missing_right_to_read_is_named(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database, open_database: OpenDatabase, grant: str
) -> None:
    create_roster(mariadb_database, ROWS)
    run_sql(mariadb_database, "CREATE TABLE aviones (n INT)")
    mariadb.create_user("lola", "S3creta", grant.format(name=mariadb_name))
    url = mariadb.url(mariadb_name, "lola", "S3creta").render_as_string(hide_password=False)
    error = unavailable(open_database(DB_URL=url))
    where = f"127.0.0.1:{mariadb.port}, base {mariadb_name}, usuario lola"
    assert f"{where}: 1142 (42000): " in str(error)
    assert "command denied to user 'lola'" in str(error)
    named = f"`{mariadb_name}`.`tripulantes`" if mariadb.is_mariadb else "table 'tripulantes'"
    assert named in str(error)
    assert error.advice == ADVICE[TABLE_DENIED]
