from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from mysql.connector.connection import MySQLConnection
from sqlalchemy import Column, Connection, Enum, MetaData, Table, insert, make_url, text
from sqlalchemy.exc import InvalidRequestError, NoSuchTableError, ResourceClosedError, SQLAlchemyError

from app.core.database import (
    ACCESS_DENIED,
    ACCESS_DENIED_DATABASE,
    ADVICE,
    CANNOT_CONNECT,
    REFUSED_ADVICE,
    TABLE_DENIED,
    TLS_ADVICE,
    UNKNOWN_DATABASE,
    Database,
    holding_off_others,
)
from app.core.database_url import describe_url
from app.errors import DatabaseUnavailable, MissingDependency, SettingsError, ValueRefused
from tests.conftest import OpenDatabase
from tests.support.databases import run_sql
from tests.support.mariadb import MariaDb, running_mariadb
from tests.support.rights import obeying_permissions
from tests.support.webserver import serving_connections

PASSWORD = "p@ss:w/rd #%ñ'2"


def connect(open_database: OpenDatabase, server: MariaDb, name: str, **overrides: object) -> Database:
    values = {"DB_URL": "", "DB_HOST": "127.0.0.1", "DB_PORT": server.port, "DB_USER": "root", "DB_NAME": name}
    return open_database(**values | {"DB_RETRY_TOTAL_S": 0.5} | overrides)


def trouble(database: Database, sql: str = "SELECT 1") -> DatabaseUnavailable:
    with pytest.raises(DatabaseUnavailable) as caught:
        run_sql(database, sql)
    return caught.value


# ------------------------------------------------------------------------------------------------ transactions


def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    run_sql(database, "CREATE TABLE t (n INT PRIMARY KEY)")

    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        database.transaction(work)
    run_sql(database, "INSERT INTO t VALUES (2)")
    assert run_sql(database, "SELECT n FROM t") == [(2,)]


def test_an_error_about_the_data_is_told_apart_and_is_not_tried_again(database: Database) -> None:
    run_sql(database, "CREATE TABLE t (n INT PRIMARY KEY)")
    attempts = []

    def work(connection: Connection) -> None:
        attempts.append(1)
        connection.execute(text("INSERT INTO t VALUES (1)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))

    with pytest.raises(ValueRefused, match="la base no puede guardar o calcular un valor"):
        database.transaction(work)
    assert len(attempts) == 1
    assert run_sql(database, "SELECT n FROM t") == []


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES ('abcd', 1)", "INSERT INTO t VALUES ('a', 'uno')"])
def test_a_value_that_does_not_fit_is_an_error_even_where_the_server_would_cut_it(
    mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase, sql: str
) -> None:
    ((before,),) = mariadb.execute("SELECT @@GLOBAL.sql_mode")
    mariadb.execute("SET GLOBAL sql_mode = ''")
    try:
        database = connect(open_database, mariadb, mariadb_name)
        run_sql(database, "CREATE TABLE t (a VARCHAR(3), n INT)")
        with pytest.raises(ValueRefused):
            run_sql(database, sql)
        assert run_sql(database, "SELECT a, n FROM t") == []
    finally:
        mariadb.execute("SET GLOBAL sql_mode = %(before)s", before=before)


def test_text_of_any_language_goes_in_and_out(database: Database) -> None:
    run_sql(database, "CREATE TABLE t (a VARCHAR(40))")
    run_sql(database, "INSERT INTO t VALUES (:a)", {"a": "Ñandú «ß» 🙂 100% \\ ' \" :a"})
    assert run_sql(database, "SELECT a FROM t") == [("Ñandú «ß» 🙂 100% \\ ' \" :a",)]


def test_every_machine_connects_with_the_connector_s_python_part(mariadb_database: Database) -> None:
    """The C part gives other error numbers, and whether it loads depends on the machine's OpenSSL."""
    with mariadb_database.engine.connect() as connection:
        assert type(connection.connection.dbapi_connection) is MySQLConnection


def test_a_connection_killed_between_two_transactions_is_not_noticed(
    mariadb: MariaDb, mariadb_database: Database
) -> None:
    ((connection_id,),) = run_sql(mariadb_database, "SELECT CONNECTION_ID()")
    mariadb.execute(f"KILL {connection_id}")
    ((another,),) = run_sql(mariadb_database, "SELECT CONNECTION_ID()")
    assert another != connection_id


def test_a_transaction_whose_connection_is_killed_is_taken_again(mariadb: MariaDb, mariadb_database: Database) -> None:
    run_sql(mariadb_database, "CREATE TABLE t (n INT)")
    attempts = []

    def work(connection: Connection) -> None:
        attempts.append(connection.scalar(text("SELECT CONNECTION_ID()")))
        connection.execute(text("INSERT INTO t VALUES (1)"))
        if len(attempts) == 1:
            mariadb.execute(f"KILL {attempts[0]}")
        connection.execute(text("INSERT INTO t VALUES (2)"))

    mariadb_database.transaction(work)
    assert len(set(attempts)) == 2
    assert run_sql(mariadb_database, "SELECT n FROM t ORDER BY n") == [(1,), (2,)]


def test_of_two_transactions_in_a_deadlock_both_are_done(mariadb_database: Database) -> None:
    run_sql(mariadb_database, "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    run_sql(mariadb_database, "INSERT INTO t VALUES (1, 0), (2, 0)")
    update = text("UPDATE t SET n = n + 1 WHERE id = :id")
    both_hold_one = threading.Barrier(2)
    attempts: list[int] = []

    def add(first: int, second: int) -> None:
        def work(connection: Connection) -> None:
            attempts.append(first)
            connection.execute(update, {"id": first})
            if attempts.count(first) == 1:
                both_hold_one.wait(timeout=20)
            connection.execute(update, {"id": second})

        mariadb_database.transaction(work)

    threads = [threading.Thread(target=add, args=order) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(attempts) == 3  # the server rolled one of them back, and it was repeated
    assert run_sql(mariadb_database, "SELECT id, n FROM t ORDER BY id") == [(1, 2), (2, 2)]


def test_sqlite_transactions_wait_for_each_other(sqlite_database: Database) -> None:
    run_sql(sqlite_database, "CREATE TABLE t (n INT)")
    run_sql(sqlite_database, "INSERT INTO t VALUES (0)")

    def work(connection: Connection) -> None:
        n = connection.scalar(text("SELECT n FROM t"))
        connection.execute(text("UPDATE t SET n = :n"), {"n": n + 1})

    def add_ten() -> None:
        for _ in range(10):
            sqlite_database.transaction(work)

    threads = [threading.Thread(target=add_ten) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run_sql(sqlite_database, "SELECT n FROM t") == [(40,)]


def test_a_run_that_waits_in_vain_for_another_does_not_go_on(
    mariadb_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.database.LOCK_TIMEOUT_S", 0)
    went_on: list[bool] = []

    def work(connection: Connection) -> None:
        with holding_off_others(connection, "t"):
            went_on.append(True)

    refused = pytest.raises(DatabaseUnavailable, match="otra ejecución está preparando las tablas")
    with mariadb_database.engine.connect() as other, holding_off_others(other, "t"), refused as caught:
        mariadb_database.transaction(work)
    assert (caught.value.advice, went_on) == ("Espere a que termine y vuelva a ejecutar.", [])
    mariadb_database.transaction(work)
    assert went_on == [True]


def test_what_many_rows_are_refused_for_is_explained(database: Database) -> None:
    run_sql(database, "CREATE TABLE t (n INT PRIMARY KEY)")
    insert = text("INSERT INTO t VALUES (1)")
    with pytest.raises(DatabaseUnavailable, match="Conexión a base de datos") as caught:
        database.in_chunks([1] * 501, lambda connection, _: connection.execute(insert))
    assert caught.value.advice == REFUSED_ADVICE
    assert run_sql(database, "SELECT n FROM t") == [(1,)]


# ------------------------------------------------------------------------------------------- errors that explain


@pytest.mark.parametrize(
    ("overrides", "cause", "advice"),
    [
        ({"DB_PASSWORD": f"{PASSWORD}x"}, "1045 (28000): Access denied for user 'ana'", ADVICE[ACCESS_DENIED]),
        ({"DB_USER": "nadie"}, "1045 (28000): Access denied for user 'nadie'", ADVICE[ACCESS_DENIED]),
        ({"DB_NAME": "nada"}, "1044 (42000): Access denied for user 'ana'", ADVICE[ACCESS_DENIED_DATABASE]),
        ({"DB_USER": "root", "DB_PASSWORD": "", "DB_NAME": "nada"}, "1049 (42000): Unknown", ADVICE[UNKNOWN_DATABASE]),
        ({"DB_PORT": 1}, "2003: Can't connect", ADVICE[CANNOT_CONNECT]),
        ({"DB_HOST": "no-such-host.invalid"}, "2003: Can't connect", ADVICE[CANNOT_CONNECT]),
        (
            {"DB_TLS": "required"},
            "la conexión no está cifrada y DB_TLS lo exige",
            "Active TLS en el servidor, o cambie DB_TLS.",
        ),
        ({"DB_TLS": "verify"}, "2026: SSL is required", TLS_ADVICE),
    ],
    ids=["password", "user", "right to base", "base", "port", "host", "tls required", "tls verify"],
)
def test_what_is_wrong_is_said_with_where_and_what_to_do(
    mariadb: MariaDb,
    mariadb_name: str,
    open_database: OpenDatabase,
    overrides: dict[str, object],
    cause: str,
    advice: str,
) -> None:
    if "DB_TLS" in overrides and mariadb.execute("SHOW VARIABLES WHERE Variable_name = 'ssl_cert' AND Value <> ''"):
        pytest.skip(f"MySQL {mariadb.version} cifra de fábrica")
    mariadb.create_user("ana", PASSWORD.replace("'", "''"), f"SELECT ON {mariadb_name}.*")
    values = {"DB_USER": "ana", "DB_PASSWORD": PASSWORD} | overrides
    database = connect(open_database, mariadb, mariadb_name, **values)
    error = trouble(database)
    host, port = overrides.get("DB_HOST", "127.0.0.1"), overrides.get("DB_PORT", mariadb.port)
    where = f"{host}:{port}, base {overrides.get('DB_NAME', mariadb_name)}, usuario {values['DB_USER']}"
    assert str(error).startswith(f"Conexión a base de datos: {where}: {cause}")
    assert "\n" not in str(error)
    assert error.advice == advice
    assert error.exit_code == 3
    shown = f"{error!r}{database!r}{''.join(traceback.format_exception(error))}"
    assert PASSWORD not in shown


def test_a_password_of_any_characters_works(mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase) -> None:
    mariadb.create_user("eva", PASSWORD.replace("'", "''"), f"SELECT ON {mariadb_name}.*")
    by_parts = connect(open_database, mariadb, mariadb_name, DB_USER="eva", DB_PASSWORD=PASSWORD)
    url = mariadb.url(mariadb_name, "eva", PASSWORD).set(drivername="mysql")
    by_url = open_database(DB_URL=url.render_as_string(hide_password=False))
    assert [run_sql(database, "SELECT 1") for database in (by_parts, by_url)] == [[(1,)], [(1,)]]


@pytest.mark.parametrize(
    ("sql", "command"),
    [("SELECT * FROM t", "SELECT"), ("INSERT INTO t VALUES (1)", "INSERT"), ("CREATE TABLE u (n INT)", "CREATE")],
)
def test_a_missing_privilege_is_named(
    mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase, sql: str, command: str
) -> None:
    mariadb.execute("CREATE TABLE t (n INT)", mariadb_name)
    mariadb.create_user("leo", "x", f"DELETE ON {mariadb_name}.t")
    error = trouble(connect(open_database, mariadb, mariadb_name, DB_USER="leo", DB_PASSWORD="x"), sql)
    assert f"1142 (42000): {command} command denied to user 'leo'" in str(error)
    assert error.advice == ADVICE[TABLE_DENIED]


def test_a_file_that_cannot_be_a_database_is_explained(tmp_path: Path, open_database: OpenDatabase) -> None:
    missing = trouble(open_database(DB_URL=f"sqlite:///{tmp_path / 'nada' / 'a.db'}"))
    expected = f"Conexión a base de datos: sqlite {tmp_path / 'nada' / 'a.db'}: unable to open database file"
    assert str(missing) == expected
    (tmp_path / "foto.db").write_bytes(b"\xff\xd8\xff\xe0 not a database" * 100)
    other = trouble(open_database(DB_URL=f"sqlite:///{tmp_path / 'foto.db'}"), "SELECT * FROM sqlite_master")
    assert str(other).endswith("foto.db: file is not a database")


@pytest.mark.parametrize(("before", "after"), [(None, 0o600), (0o640, 0o640)], ids=["new", "old"])
def test_a_new_file_is_its_owner_s_alone_whatever_the_caller_s_umask(
    tmp_path: Path, open_database: OpenDatabase, before: int | None, after: int
) -> None:
    path = tmp_path / "galería.db"
    if before is not None:
        path.touch()
        path.chmod(before)
    umask = os.umask(0)
    database = open_database(DB_URL=f"sqlite:///{path}")
    assert path.exists() == (before is not None)  # opening makes no connection
    run_sql(database, "CREATE TABLE t (a INT)")
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == after


@pytest.mark.parametrize("option", ["foo=1", "connection_timeout=x"])
def test_an_option_of_the_url_that_the_driver_does_not_take_is_refused_without_it(
    option: str, open_database: OpenDatabase
) -> None:
    with pytest.raises(SettingsError) as caught:
        open_database(DB_URL=f"mysql://u:p@127.0.0.1:9/b?password=otra&{option}").transaction(lambda _: None)
    assert (str(caught.value), caught.value.advice) == (
        "DB_URL: el programa no conoce una opción de las que siguen al signo ?, o su valor",
        "Quítela de DB_URL.",
    )


GREETINGS = {
    "zeros": bytes(64),
    "not UTF-8": b"\x46\0\0\0\x0a\xff\xfe\xfd\0" + bytes(65),
    "too short": b"\x02\0\0\0\x0a\x31",
    "no packet": b"\x01\0\0\0\x0a",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize(
    ("name", "query"), [*((name, "") for name in GREETINGS), ("zeros", "?autocommit=1"), ("not UTF-8", "?autocommit=1")]
)
def test_a_server_that_talks_something_else_is_not_available_and_is_tried_again(
    name: str, query: str, open_database: OpenDatabase
) -> None:
    greeted = []

    def greet(connection: socket.socket, closing: threading.Event) -> None:
        if not closing.is_set():
            greeted.append(name)
            connection.sendall(GREETINGS[name])

    with serving_connections(greet) as port:
        error = trouble(open_database(DB_URL=f"mysql://u:p@127.0.0.1:{port}/b{query}", DB_RETRY_TOTAL_S=1.5))
    assert str(error).startswith(f"Conexión a base de datos: 127.0.0.1:{port}, base b, usuario u: 20")
    assert len(greeted) > 1


def test_a_driver_that_is_not_there_is_explained(open_database: OpenDatabase) -> None:
    with pytest.raises(DatabaseUnavailable) as unknown:
        open_database(DB_URL="mysql+otro://ana:S3creta@h/b")
    where = "Conexión a base de datos: h:3306, base b, usuario ana"
    assert str(unknown.value) == f"{where}: el programa no trae el controlador que pide DB_URL"
    assert unknown.value.advice == "Escríbala sin controlador: DB_URL=mysql://…"
    with pytest.raises(MissingDependency, match=r"^Módulo no encontrado: cymysql"):
        open_database(DB_URL="mysql+cymysql://ana:S3creta@h/b")


def test_an_order_that_the_server_refuses_is_for_its_administrator(database: Database) -> None:
    error = trouble(database, "SELECT no_hay FROM nada")
    assert "nada" in str(error)
    assert error.advice == REFUSED_ADVICE


BODY = "BEFORE INSERT ON t FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'hoy no'"
REFUSING = {
    "a label that an ENUM does not have": ("CREATE TABLE t (a ENUM('x'))", "INSERT INTO t VALUES ('y')", "1265"),
    "a word for a number": ("CREATE TABLE t (a INT)", "INSERT INTO t VALUES ('y')", "1366"),
    "a trigger": (f"CREATE TABLE t (a INT);CREATE TRIGGER g {BODY}", "INSERT INTO t VALUES (1)", "1644"),
    "the condition of a view": (
        "CREATE TABLE u (a INT);CREATE VIEW t AS SELECT * FROM u WHERE a > 5 WITH CHECK OPTION",
        "INSERT INTO t VALUES (1)",
        "1369",
    ),
    "a CHECK": ("CREATE TABLE t (a INT CHECK (a > 5))", "INSERT INTO t VALUES (1)", "4025|3819"),
    "a sum that has no result": ("CREATE TABLE t (a INT)", "SELECT CAST(1 AS UNSIGNED) - 2", "1690"),
}


@pytest.mark.parametrize("what", REFUSING)
def test_what_refuses_one_row_is_told_from_what_ends_a_run(
    mariadb: MariaDb, mariadb_database: Database, what: str
) -> None:
    made, sql, number = REFUSING[what]
    mariadb.need_kinds(made)
    for statement in made.split(";"):
        run_sql(mariadb_database, statement)
    with pytest.raises(ValueRefused, match=number):
        run_sql(mariadb_database, sql)


@pytest.mark.parametrize(
    "error",
    [InvalidRequestError("in English [SQL: SELECT 1]"), NoSuchTableError("t"), ResourceClosedError("in English")],
)
def test_an_error_of_the_library_is_told_without_its_english_and_its_sql(
    sqlite_database: Database, error: SQLAlchemyError
) -> None:
    def work(_: Connection) -> None:
        raise error

    with pytest.raises(DatabaseUnavailable) as caught:
        sqlite_database.transaction(work)
    assert str(caught.value).endswith(f": el programa no entiende lo que contestó la base ({type(error).__name__})")
    assert "--debug" in caught.value.advice


def test_a_value_that_a_column_does_not_take_is_about_the_data(sqlite_database: Database) -> None:
    table = Table("t", MetaData(), Column("a", Enum("x")))
    table.create(sqlite_database.engine)
    with pytest.raises(ValueRefused, match=r"\(StatementError\)$"):
        sqlite_database.transaction(lambda connection: connection.execute(insert(table).values(a=True)))


def test_no_message_carries_the_values_that_were_sent(database: Database) -> None:
    """The values may be vectors of faces."""
    run_sql(database, "CREATE TABLE t (n INT PRIMARY KEY, v TEXT)")
    run_sql(database, "INSERT INTO t VALUES (1, 'x')")
    with pytest.raises(ValueRefused) as caught:
        run_sql(database, "INSERT INTO t VALUES (1, :v)", {"v": str([1 / 8])})
    assert "0.125" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_does_not_answer_is_given_up_and_its_late_answer_never_taken_for_another(
    mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase
) -> None:
    database = connect(open_database, mariadb, mariadb_name, DB_ANSWER_TIMEOUT_S=1)
    assert str(trouble(database, "SELECT SLEEP(3)")).endswith(": el servidor no respondió a tiempo")
    assert run_sql(database, "SELECT 'otra'") == [("otra",)]


@pytest.mark.parametrize(
    ("url", "description"),
    [
        ("mysql://ana:S3creta@h/b", "h:3306, base b, usuario ana"),
        ("mysql://ana:S3creta@h:3307/b?charset=x", "h:3307, base b, usuario ana"),
        ("sqlite:////tmp/a.db", "sqlite /tmp/a.db"),
        ("sqlite://", "sqlite"),
    ],
)
def test_a_database_is_described_without_its_password(url: str, description: str) -> None:
    assert describe_url(make_url(url)) == description


# ------------------------------------------------------------------------------------------------------- TLS


def write_certificate(folder: Path, name: str) -> Path:
    """Write a self-signed certificate for 127.0.0.1, and its key beside it."""
    certificate = folder / f"{name}.pem"
    subprocess.run(
        [
            *(str(shutil.which("openssl")), "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / f"{name}.key"), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate


@pytest.fixture(scope="module")
def certificates(mariadb: MariaDb) -> Iterator[Path]:
    if shutil.which("openssl") is None:
        pytest.skip("falta openssl: apt-get install openssl")
    folder = Path(tempfile.mkdtemp(prefix="tls-"))
    for name in ("propia", "ajena"):
        write_certificate(folder, name)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def tls_server(certificates: Path) -> Iterator[MariaDb]:
    options = f"--ssl-cert={certificates}/propia.pem", f"--ssl-key={certificates}/propia.key"
    with running_mariadb(certificates / "servidor", *options) as server:
        yield server


@pytest.mark.parametrize(
    ("overrides", "encrypted"),
    [
        ({"DB_TLS": "auto"}, True),
        ({"DB_TLS": "off"}, False),
        ({"DB_TLS": "required"}, True),
        ({"DB_TLS": "verify", "DB_TLS_CA": "propia.pem"}, True),
    ],
)
def test_the_connection_is_encrypted_as_the_settings_say(
    tls_server: MariaDb,
    certificates: Path,
    open_database: OpenDatabase,
    overrides: dict[str, str],
    encrypted: bool,
) -> None:
    if "DB_TLS_CA" in overrides:
        overrides = overrides | {"DB_TLS_CA": str(certificates / overrides["DB_TLS_CA"])}
    database = connect(open_database, tls_server, "mysql", **overrides)
    ((_, cipher),) = run_sql(database, "SHOW STATUS LIKE 'Ssl_cipher'")
    assert bool(cipher) == encrypted


@pytest.mark.parametrize(
    "overrides",
    [
        {"DB_TLS_CA": "ajena.pem"},
        {"DB_TLS_CA": ""},
        {"DB_TLS_CA": "no-hay.pem"},
        {"DB_TLS_CA": "propia.pem", "DB_HOST": "localhost"},  # the certificate is for 127.0.0.1
    ],
    ids=["another authority", "unknown authority", "no such file", "another name"],
)
def test_a_server_that_cannot_prove_who_it_is_is_refused(
    tls_server: MariaDb, certificates: Path, open_database: OpenDatabase, overrides: dict[str, str]
) -> None:
    authority = str(certificates / overrides["DB_TLS_CA"]) if overrides["DB_TLS_CA"] else ""
    values = overrides | {"DB_TLS_CA": authority, "DB_TLS": "verify"}
    error = trouble(connect(open_database, tls_server, "mysql", **values))
    assert "certificate" in str(error).lower()
    assert error.advice == TLS_ADVICE


def test_a_file_in_a_folder_that_may_not_be_entered_is_said(open_database: OpenDatabase, tmp_path: Path) -> None:
    folder = tmp_path / "cerrada"
    folder.mkdir()
    database = open_database(DB_URL=f"sqlite:///{folder}/prueba.db")
    folder.chmod(0)
    with (
        obeying_permissions(),
        pytest.raises(DatabaseUnavailable, match="no se puede entrar en su carpeta: no hay permiso"),
    ):
        assert database.exists
    folder.chmod(0o700)
