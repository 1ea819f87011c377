"""The connection to the database: settings come in, an engine and explained errors go out."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError, SAWarning, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.config import Settings
from app.core.drivers import BAD_OPTION, CANNOT_CONNECT, connect, mysql_arguments
from app.core.files import create_private
from app.core.redaction import harmless
from app.core.retry import RetryPolicy, call_with_retries
from app.errors import DatabaseUnavailable, MissingDependency, SettingsError

Result = TypeVar("Result")
Item = TypeVar("Item")

# MySQL and MariaDB error numbers, from their reference manuals.
DEADLOCK, LOCK_WAIT_TIMEOUT, TOO_MANY_CONNECTIONS = 1213, 1205, 1040
SHUTDOWN, KILLED = 1053, 1927
QUERY_TIMEOUT = 3024
# The connector's own, after its read or write timeout; they share the number -1 with all of its errors without one.
TIMEOUT_ERRORS = ("ReadTimeoutError", "WriteTimeoutError")
CONNECTION_LOST = {2002, CANNOT_CONNECT, 2006, 2013, 2055, SHUTDOWN, KILLED, TOO_MANY_CONNECTIONS, QUERY_TIMEOUT}
TRANSIENT = CONNECTION_LOST | {DEADLOCK, LOCK_WAIT_TIMEOUT}
WRONG_VALUE = 1366  # a word for a number: MySQL's SQLSTATE for it says nothing
ACCESS_DENIED, ACCESS_DENIED_DATABASE, UNKNOWN_DATABASE = 1045, 1044, 1049
UNKNOWN_HOST, NO_TLS = 2005, 2026
TABLE_DENIED, COLUMN_DENIED = 1142, 1143

SQLITE_BUSY_TIMEOUT_S = 30
FIRST_CONTACT_S = 10.0  # a server that restarts is back by then
ITEMS_AT_ONCE = 500
# A batch of photos with their thumbnails, escaped. No server of ours comes with less.
MIN_PACKET_BYTES, USUAL_PACKET = 1 << 20, "16M"
# A customer's column of a type that SQLAlchemy does not know is compared as it is: nobody has to read of it.
warnings.filterwarnings("ignore", "(Could not instantiate|Did not recognize) type", SAWarning)
# That a connection had gone when it was given back is no news: a traceback of it would be in cron's mail.
logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())

ADVICE = {
    ACCESS_DENIED: "Revise DB_USER y DB_PASSWORD en .env.",
    ACCESS_DENIED_DATABASE: "Revise DB_NAME en .env, o dé permiso al usuario: el README trae el GRANT necesario.",
    UNKNOWN_DATABASE: "Revise DB_NAME en .env, o cree la base.",
    UNKNOWN_HOST: "Revise DB_HOST en .env: ese nombre no existe en la red.",
    CANNOT_CONNECT: "Compruebe que MySQL esté en marcha y que DB_HOST y DB_PORT sean correctos.",
    TABLE_DENIED: "Al usuario le falta ese permiso, o la tabla no existe: revise ROSTER_TABLE y el GRANT del README.",
    COLUMN_DENIED: "Al usuario le falta permiso en esa columna: el README trae el GRANT necesario.",
}
TLS_ADVICE = "Revise DB_TLS y DB_TLS_CA en .env, o el certificado del servidor."
REFUSED_ADVICE = "La base rechazó la orden: muestre este mensaje a quien la administra."
DEFAULT_ADVICE = "Compruebe que la base esté disponible y vuelva a ejecutar: continuará donde quedó."


class Database:
    """An engine with our rules for connections, bounded retries, and errors that say where and what to do."""

    def __init__(self, settings: Settings, stop: threading.Event | None = None) -> None:
        self.url = settings.database_url()
        self._policy = RetryPolicy(attempts=50, total_s=settings.DB_RETRY_TOTAL_S)
        self._tls = settings.DB_TLS
        self._answer_timeout_s = settings.DB_ANSWER_TIMEOUT_S
        self._stop = stop
        arguments = mysql_arguments(settings) if self.is_mysql else {"timeout": SQLITE_BUSY_TIMEOUT_S}
        try:
            # Parameters are faces' vectors: no error message may carry them into a log.
            self.engine: Engine = create_engine(
                self.url, pool_pre_ping=True, connect_args=arguments, hide_parameters=True
            )
        except SQLAlchemyError as error:
            raise self.explain(error) from error
        except ModuleNotFoundError as error:
            raise MissingDependency.of(error) from error
        except (TypeError, ValueError) as error:
            raise SettingsError(*BAD_OPTION) from error
        event.listen(self.engine, "do_connect", self._connect)
        event.listen(self.engine, "connect", self._prepare_connection)
        event.listen(self.engine, "handle_error", _notice_lost_connection)
        if not self.is_mysql:
            event.listen(self.engine, "begin", _begin_immediate)

    @property
    def is_mysql(self) -> bool:
        return self.url.get_backend_name() in ("mysql", "mariadb")

    @property
    def file(self) -> Path | None:
        """SQLite's file; None when it is in memory, or on a server."""
        name = self.url.database or ":memory:"
        return None if self.is_mysql or name.startswith((":memory:", "file:")) else Path(name)

    @property
    def exists(self) -> bool:
        """Not an SQLite file that is still to be made: the first question would make it."""
        return self.file is None or self.file.exists()

    def __repr__(self) -> str:
        return f"Database({describe_url(self.url)})"

    def transaction(self, work: Callable[[Connection], Result], *, retry: bool = True) -> Result:
        """Run `work` in one transaction, again while the server's trouble is a passing one.

        Raises DatabaseUnavailable when it did not pass; errors about the data itself come as they are.
        """
        policy = self._policy if retry else RetryPolicy(attempts=1, total_s=0)
        try:
            return call_with_retries(lambda: self._attempt(work), policy, _is_transient, self._stop)
        except DBAPIError as error:
            if is_about_the_data(error):
                raise
            raise self.explain(error) from error

    def reach(self, call: Callable[[], Result]) -> Result:
        """The first contact: `call()` outside any transaction, again while the server's trouble is a passing one, but
        not for long: it may be a wrong port. Raises DatabaseUnavailable."""
        policy = replace(self._policy, total_s=min(self._policy.total_s, FIRST_CONTACT_S))
        try:
            return call_with_retries(call, policy, _is_transient, self._stop)
        except DBAPIError as error:
            raise self.explain(error) from error

    def in_chunks(self, items: Sequence[Item], work: Callable[[Connection, Sequence[Item]], object]) -> None:
        """`work` on as many items at a time as one statement takes well, each time in a transaction of its own.

        Raises DatabaseUnavailable, also when the server refuses the data.
        """
        for start in range(0, len(items), ITEMS_AT_ONCE):
            self._in_one(items[start : start + ITEMS_AT_ONCE], work)

    def _in_one(self, chunk: Sequence[Item], work: Callable[[Connection, Sequence[Item]], object]) -> None:
        try:
            self.transaction(lambda connection: work(connection, chunk))
        except DBAPIError as error:
            raise self.explain(error) from error

    def _attempt(self, work: Callable[[Connection], Result]) -> Result:
        with self.engine.begin() as connection:
            return work(connection)

    def connect(self) -> Connection:
        """A connection outside any transaction, for its caller to close. Raises DBAPIError, DatabaseUnavailable."""
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def explain(self, error: Exception) -> DatabaseUnavailable:
        """The error with host, port, database and user (never the password), and what to do."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        text = "el servidor no respondió a tiempo" if _is_unanswered(error) else _first_line(harmless(str(cause)))
        message = f"Conexión a base de datos: {describe_url(self.url)}: {text}"
        usual = DEFAULT_ADVICE if _is_transient(error) else REFUSED_ADVICE
        advice = TLS_ADVICE if _is_about_trust(error) else ADVICE.get(_number(error), usual)
        return DatabaseUnavailable(message, advice)

    def _connect(self, dialect: Any, _entry: object, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
        if not self.exists:
            with suppress(OSError):  # SQLite says it better
                create_private(Path(str(self.url.database)))
        return connect(dialect, arguments, options, with_query=bool(self.url.query))

    def _prepare_connection(self, connection: Any, _entry: ConnectionPoolEntry) -> None:
        if not self.is_mysql:
            connection.isolation_level = None  # we say BEGIN ourselves, see _begin_immediate
            return
        with connection.cursor() as cursor:
            # A value too long is an error, never cut; gap locks keep two runs from both inserting a member.
            cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # By default a table locked by a backup would be waited for a whole day.
            cursor.execute(f"SET SESSION lock_wait_timeout = {self._answer_timeout_s}")
            self._require_packets(cursor)
            if self._tls in ("required", "verify"):
                self._require_cipher(cursor)

    def _require_packets(self, cursor: Any) -> None:
        """A server cuts whoever sends more than it takes off in the middle: it looks as if it were away."""
        cursor.execute("SELECT @@max_allowed_packet")
        found = int(cursor.fetchone()[0])
        if found < MIN_PACKET_BYTES:
            message = (
                f"Conexión a base de datos: {describe_url(self.url)}: max_allowed_packet es de {found} bytes y hacen "
                f"falta {MIN_PACKET_BYTES}"
            )
            raise DatabaseUnavailable(message, f"Pida a quien la administra max_allowed_packet={USUAL_PACKET}.")

    def _require_cipher(self, cursor: Any) -> None:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        row = cursor.fetchone()
        if not row or not row[1]:
            where = describe_url(self.url)
            message = f"Conexión a base de datos: {where}: la conexión no está cifrada y DB_TLS lo exige"
            raise DatabaseUnavailable(message, "Active TLS en el servidor, o cambie DB_TLS.")


def describe_url(url: URL) -> str:
    """Where the database is, without the password."""
    if not url.host:
        return f"{url.get_backend_name()} {url.database or ''}".strip()
    return f"{url.host}:{url.port or 3306}, base {url.database}, usuario {url.username}"


def _begin_immediate(connection: Connection) -> None:
    # Taking SQLite's write lock at once: a transaction that reads first and writes later could not wait for it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _notice_lost_connection(context: ExceptionContext) -> None:
    """Not to be used again: what a late answer would say belongs to an earlier question."""
    error = context.original_exception
    # The connector may find out while it prepares a statement: then it has words for it only.
    if _is_unanswered(error) or "MySQL Connection not available" in str(error):
        context.is_disconnect = True


def _is_unanswered(error: BaseException) -> bool:
    cause = getattr(error, "orig", error)
    return type(cause).__name__ in TIMEOUT_ERRORS or _number(error) == QUERY_TIMEOUT


def _number(error: BaseException) -> int:
    return int(getattr(getattr(error, "orig", error), "errno", 0) or 0)


def _is_transient(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError) or _is_about_trust(error):
        return False
    locked = "database is locked" in str(error.orig)
    return error.connection_invalidated or _number(error) in TRANSIENT or _is_unanswered(error) or locked


def _is_about_trust(error: Exception) -> bool:
    """Whether the server's certificate, or its want of one, is the trouble: the connector says so in words only."""
    return _number(error) == NO_TLS or "certificate" in str(getattr(error, "orig", error)).lower()


def is_about_the_data(error: DBAPIError) -> bool:
    """Whether one row was refused (too long, wrong type, a constraint), so that the others may still go in."""
    return type(error).__name__ in ("DataError", "IntegrityError") or _number(error) == WRONG_VALUE


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "sin detalle"
