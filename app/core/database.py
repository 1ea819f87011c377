"""Connect to the database, repeat what fails for a moment, and explain what fails for good."""

from __future__ import annotations

import hashlib
import itertools
import logging
import struct
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SAWarning, SQLAlchemyError, StatementError
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.account_limits import (
    AT_ONCE,
    CONNECTING,
    CONNECTIONS,
    QUERIES,
    Allowance,
    Limit,
    count_statement,
    exceeded_limit,
    read_limits,
)
from app.core.config import DatabaseSettings
from app.core.database_url import build_connect_arguments, build_url, describe_url
from app.core.files import create_private, why
from app.core.redaction import redacted
from app.core.retry import RetryPolicy, call_with_retries
from app.errors import DatabaseUnavailable, MissingDependency, SettingsError, ValueRefused

Result = TypeVar("Result")
Item = TypeVar("Item")

# MySQL and MariaDB error numbers, from their reference manuals; those from 2000 on are the connector's.
DEADLOCK, LOCK_WAIT_TIMEOUT, TOO_MANY_CONNECTIONS, TOO_MANY_OF_USER = 1213, 1205, 1040, 1203
SHUTDOWN, KILLED = 1053, 1927
QUERY_TIMEOUTS = (3024, 1969)  # MySQL's, MariaDB's
ACCESS_DENIED, ACCESS_DENIED_DATABASE, UNKNOWN_DATABASE = 1045, 1044, 1049
TABLE_DENIED, COLUMN_DENIED = 1142, 1143
INVALID_VIEW, NO_DEFINER = 1356, 1449
CANNOT_CONNECT, UNKNOWN_HOST, NO_TLS = 2003, 2005, 2026
# The connector's errors after its read or write timeout: their number is -1, as that of many other errors.
TIMEOUT_ERRORS = ("ReadTimeoutError", "WriteTimeoutError")
CONNECTION_LOST = {2002, CANNOT_CONNECT, 2006, 2013, 2055, SHUTDOWN, KILLED, *QUERY_TIMEOUTS}
TRANSIENT = CONNECTION_LOST | {DEADLOCK, LOCK_WAIT_TIMEOUT, TOO_MANY_CONNECTIONS, TOO_MANY_OF_USER}
# What refuses one row although its SQLSTATE could be anything: no label of an ENUM, a word for a number, the condition
# of a view, a trigger, a CHECK of MySQL.
REFUSALS = {1265, 1366, 1369, 1644, 3819}

FIRST_CONTACT_S = 10.0  # a server that restarts is back by then
# A host's limit on the time of a statement, where the server has one: DB_ANSWER_TIMEOUT_S is ours.
NO_TIME_LIMIT = " /*!50708 , max_execution_time = 0 */ /*M!100101 , max_statement_time = 0 */"
ITEMS_AT_ONCE = 500
# How to execute a query whose rows are not to lie in memory together. No other statement before the last of them.
AS_THEY_COME = {"stream_results": True}
LOCK_TIMEOUT_S = 10  # well below DB_ANSWER_TIMEOUT_S, after which the connection would be given up
MAX_LOCK_CHARACTERS = 64  # MySQL's limit
# What a batch of photo records with thumbnails takes when escaped. Every supported server allows it by default.
MIN_PACKET_BYTES, USUAL_PACKET = 1 << 20, "16M"
# Columns of types that SQLAlchemy does not know are compared as they are; its warning would help no user.
warnings.filterwarnings("ignore", "(Could not instantiate|Did not recognize) type", SAWarning)
# The pool logs a traceback when a connection is lost as it is given back: it would end up in cron's mail.
logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())

NO_MYSQL = "lo que hay en ese puerto no contesta como MySQL"
NOT_UNDERSTOOD = "el programa no entiende lo que contestó la base"
NO_DRIVER = "el programa no trae el controlador que pide DB_URL"
BAD_OPTION = ("DB_URL: el programa no conoce una opción de las que siguen al signo ?, o su valor", "Quítela de DB_URL.")
FILE_ADVICE = "Revise la ruta de DB_URL: tras sqlite: lleva tres barras, o cuatro si está completa (/…)."
GRANT_ADVICE = "docs/security.md trae el GRANT necesario."
BAD_VALUE = "la base no puede guardar o calcular un valor"
CAUSES = {
    INVALID_VIEW: "una vista no se puede leer: no existe una tabla, columna o función de la que depende, o a su dueño "
    "(DEFINER) le falta permiso",
    NO_DEFINER: "una vista o un disparador es de un usuario (DEFINER) que ya no existe",
}
MEND_VIEW = "Pida a quien administra la base que repare esa vista"
OR_URL = " (o DB_URL, si la usa)"
ADVICE = {
    INVALID_VIEW: f"{MEND_VIEW}, o indique otra tabla en ROSTER_TABLE.",
    NO_DEFINER: f"{MEND_VIEW} (o disparador): debe crearse de nuevo con un DEFINER que exista.",
    ACCESS_DENIED: f"Revise DB_USER y DB_PASSWORD en .env{OR_URL}.",
    ACCESS_DENIED_DATABASE: f"Revise DB_NAME en .env{OR_URL}, o dé permiso al usuario: {GRANT_ADVICE}",
    UNKNOWN_DATABASE: f"Revise DB_NAME en .env{OR_URL}, y ROSTER_TABLE si nombra una base; o cree la base.",
    UNKNOWN_HOST: f"Revise DB_HOST en .env{OR_URL}: ese nombre no existe en la red.",
    CANNOT_CONNECT: f"Compruebe que MySQL esté en marcha y que DB_HOST y DB_PORT sean correctos{OR_URL}.",
    TABLE_DENIED: "Al usuario le falta ese permiso, o la tabla no existe: revise ROSTER_TABLE y el GRANT de "
    "docs/security.md.",
    COLUMN_DENIED: f"Al usuario le falta permiso en esa columna: {GRANT_ADVICE}",
}
TLS_ADVICE = "Revise DB_TLS y DB_TLS_CA en .env, o el certificado del servidor."
REFUSED_ADVICE = "La base rechazó la orden: muestre este mensaje a quien la administra."
DEFECT_ADVICE = "Repita la orden con --debug y envíe a soporte el archivo logs/app.log."
DEFAULT_ADVICE = "Compruebe que la base esté disponible y vuelva a ejecutar: continuará donde quedó."


class Database:
    """An engine with this program's rules for connections, bounded retries, and errors that say where and what to do.

    Raises SettingsError for an option of DB_URL that the driver does not know, MissingDependency, DatabaseUnavailable.
    """

    def __init__(self, settings: DatabaseSettings, stop: threading.Event | None = None) -> None:
        self.url = build_url(settings)
        self._policy = RetryPolicy(attempts=50, total_s=settings.DB_RETRY_TOTAL_S)
        self._tls = settings.DB_TLS
        self._answer_timeout_s = settings.DB_ANSWER_TIMEOUT_S
        self._stop = stop
        self.used: Counter[str] = Counter()  # of the account's limits, by their names
        arguments = build_connect_arguments(settings, self.url)
        try:
            # Parameters may be vectors of faces: no error message may carry them into a log.
            self.engine: Engine = create_engine(
                self.url, pool_pre_ping=True, connect_args=arguments, hide_parameters=True
            )
        except NoSuchModuleError as error:
            advice = f"Escríbala sin controlador: DB_URL={self.url.get_backend_name()}://…"
            raise unavailable(self.url, NO_DRIVER, advice) from error
        except ModuleNotFoundError as error:
            raise MissingDependency.of(error) from error
        except (TypeError, ValueError) as error:
            raise SettingsError(*BAD_OPTION) from error
        if self.is_mysql:  # SQLAlchemy leaves it off (bugs.mysql.com/117548); docs/architecture.md says what was tried
            self.engine.dialect.supports_server_side_cursors = True
        event.listen(self.engine, "do_connect", self._connect)
        event.listen(self.engine, "connect", self._prepare_connection)
        event.listen(self.engine, "handle_error", _notice_lost_connection)
        if not self.is_mysql:
            event.listen(self.engine, "begin", _begin_immediate)
            return
        event.listen(self.engine, "before_cursor_execute", self._count)
        for end in ("commit", "rollback"):
            event.listen(self.engine, end, self._count_one)
        event.listen(self.engine, "checkin", self._count_one)  # the pool rolls back

    @property
    def is_mysql(self) -> bool:
        """False for SQLite."""
        return self.url.get_backend_name() in ("mysql", "mariadb")

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None for one in memory or on a server."""
        name = self.url.database or ":memory:"
        return None if self.is_mysql or name.startswith((":memory:", "file:")) else Path(name)

    @property
    def exists(self) -> bool:
        """False for an SQLite file that is yet to be created: the first statement would create it. Raises
        DatabaseUnavailable where its folder may not be entered."""
        try:
            return self.file is None or self.file.exists()
        except OSError as error:
            advice = "Revise los permisos de esa carpeta, o ejecute con el usuario que los tiene."
            raise unavailable(self.url, f"no se puede entrar en su carpeta: {why(error)}", advice) from error

    def require_file(self) -> None:
        """Raise DatabaseUnavailable for an SQLite file that does not exist: the first statement would create it."""
        if not self.exists:
            raise unavailable(self.url, "no existe el archivo", FILE_ADVICE)

    def __repr__(self) -> str:
        return f"Database({describe_url(self.url)})"

    def transaction(self, work: Callable[[Connection], Result], *, retry: bool = True) -> Result:
        """Run `work` in one transaction, and again after a transient error. Raises DatabaseUnavailable if it persists,
        ValueRefused for an error about the data itself."""

        def attempt() -> Result:
            with self.engine.begin() as connection:
                return work(connection)

        return self._call(attempt, self._policy if retry else RetryPolicy(attempts=1, total_s=0))

    def reach(self, call: Callable[[], Result]) -> Result:
        """Make the first contact with `call`, outside any transaction, and give up soon: the port may be wrong. Raises
        DatabaseUnavailable."""
        return self._call(call, replace(self._policy, total_s=min(self._policy.total_s, FIRST_CONTACT_S)))

    def _call(self, call: Callable[[], Result], policy: RetryPolicy) -> Result:
        try:
            return call_with_retries(call, policy, _is_transient, self._stop)
        except SQLAlchemyError as error:
            cause = _cause(error)
            raise self.explain(cause) from cause

    def in_chunks(self, items: Iterable[Item], work: Callable[[Connection, Sequence[Item]], object]) -> None:
        """Run `work` on ITEMS_AT_ONCE items at a time, each time in a transaction of its own. Raises
        DatabaseUnavailable."""
        waiting = iter(items)
        while chunk := list(itertools.islice(waiting, ITEMS_AT_ONCE)):
            self.transaction(lambda connection, chunk=chunk: work(connection, chunk))  # type: ignore[misc]

    def connect(self) -> Connection:
        """Open a connection without transactions, for the caller to close. Raises DBAPIError, DatabaseUnavailable."""
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def explain(self, error: SQLAlchemyError) -> DatabaseUnavailable:
        """Return the error with host, port, database and user (never the password), and what to do."""
        limit = _limit_of(error)
        if limit is not None:
            return unavailable(self.url, f"la cuenta llegó a su límite: {limit}", limit.advice)
        if not isinstance(error, DBAPIError):  # of SQLAlchemy itself, whose English quotes the statement
            return unavailable(self.url, f"{NOT_UNDERSTOOD} ({type(error).__name__})", DEFECT_ADVICE, _kind(error))
        said = "el servidor no respondió a tiempo" if _is_unanswered(error) else _first_line(redacted(str(error.orig)))
        number = _meaning(error)
        usual = DEFAULT_ADVICE if _is_transient(error) else REFUSED_ADVICE
        advice = TLS_ADVICE if _is_about_trust(error) else ADVICE.get(number, usual)
        kind = _kind(error)
        cause = CAUSES.get(number, BAD_VALUE if kind is ValueRefused else "")
        return unavailable(self.url, f"{cause} ({said})" if cause else said, advice, kind)

    def allowance(self) -> Allowance:
        """Read the limits of the account. Raises DatabaseUnavailable, also for a limit that no run fits into."""
        limits = self.transaction(read_limits)
        for limit in limits:
            if limit.is_too_small:
                raise unavailable(self.url, f"la cuenta tiene un límite demasiado bajo: {limit}", limit.advice)
        return Allowance(limits, self.used)

    def _count(self, *call: Any) -> None:
        statement, parameters, many = call[2], call[3], call[5]
        # The driver sends all rows of an INSERT at once, and an UPDATE or DELETE for each.
        count_statement(self.used, statement, len(parameters) if many and not statement.startswith("INSERT") else 1)

    def _count_one(self, *_: object) -> None:
        self.used[QUERIES] += 1

    def _connect(self, dialect: Any, _entry: object, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
        """Connect with the driver. Raises SettingsError, which does not repeat the refused option of DB_URL, and the
        driver's OperationalError if the server does not answer with MySQL's protocol."""
        if not self.exists:
            with suppress(OSError):  # SQLite's own error explains it better
                create_private(Path(str(self.url.database)))
        try:
            return dialect.connect(*arguments, **options)
        except (AttributeError, TypeError, ValueError, LookupError, struct.error) as error:
            if self.url.query and _is_refusal(error):
                raise SettingsError(*BAD_OPTION) from error
            raise dialect.loaded_dbapi.OperationalError(NO_MYSQL, CANNOT_CONNECT) from error

    def _prepare_connection(self, connection: Any, _entry: ConnectionPoolEntry) -> None:
        if not self.is_mysql:
            connection.isolation_level = None  # _begin_immediate begins the transactions
            return
        self.used[CONNECTIONS] += 1
        self.used[QUERIES] += CONNECTING
        with connection.cursor() as cursor:
            # A value too long is an error, never cut; gap locks keep two runs from both inserting a member.
            cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # By default a statement waits a whole day for a table that a backup has locked.
            cursor.execute(f"SET SESSION lock_wait_timeout = {self._answer_timeout_s}{NO_TIME_LIMIT}")
            self._require_packets(cursor)
            if self._tls in ("required", "verify"):
                self._require_cipher(cursor)

    def _require_packets(self, cursor: Any) -> None:
        # With less the server would break the connection, as if it were down.
        cursor.execute("SELECT @@max_allowed_packet")
        found = int(cursor.fetchone()[0])
        if found < MIN_PACKET_BYTES:
            text = f"max_allowed_packet es de {found} bytes y hacen falta {MIN_PACKET_BYTES}"
            raise unavailable(self.url, text, f"Pida a quien la administra max_allowed_packet={USUAL_PACKET}.")

    def _require_cipher(self, cursor: Any) -> None:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        row = cursor.fetchone()
        if not row or not row[1]:
            text = "la conexión no está cifrada y DB_TLS lo exige"
            raise unavailable(self.url, text, "Active TLS en el servidor, o cambie DB_TLS.")


def unavailable(
    url: URL, text: str, advice: str, kind: type[DatabaseUnavailable] = DatabaseUnavailable
) -> DatabaseUnavailable:
    """Return the error that says where the database is, what is wrong with it, and what to do."""
    return kind(f"Conexión a base de datos: {describe_url(url)}: {text}", advice)


@contextmanager
def holding_off_others(connection: Connection, what: str) -> Iterator[None]:
    """Make other runs wait at the same place until the block ends, as SQLite's transactions do; MySQL's end with every
    change of a table. Raises DatabaseUnavailable if another run does not finish in time."""
    if connection.dialect.name == "sqlite":
        yield
        return
    name = lock_name(what, connection.engine.url.database or "")
    if connection.execute(select(func.get_lock(name, LOCK_TIMEOUT_S))).scalar() != 1:  # 0: too late; NULL: an error
        text = "otra ejecución está preparando las tablas"
        raise unavailable(connection.engine.url, text, "Espere a que termine y vuelva a ejecutar.")
    try:
        yield
    finally:
        if not connection.invalidated:  # the lock ended with the connection, and a new error would hide the first
            connection.execute(select(func.release_lock(name)))


def lock_name(what: str, database: str) -> str:
    """Return the name of a lock that ends with its connection. All databases of a server share the names, without
    regard to case; the digest keeps the name of a database within MAX_LOCK_CHARACTERS."""
    return f"{what} {hashlib.sha256(database.encode()).hexdigest()}"[:MAX_LOCK_CHARACTERS]


def _is_refusal(error: Exception) -> bool:
    # The driver's other errors come from reading the server's greeting.
    return isinstance(error, AttributeError | TypeError | ValueError) and not isinstance(error, UnicodeError)


def _begin_immediate(connection: Connection) -> None:
    # Takes SQLite's write lock at once: a transaction that reads first and writes later could not wait for it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _notice_lost_connection(context: ExceptionContext) -> None:
    # An answer that came too late would be read as the answer to the next statement.
    error = context.original_exception
    # A connection that the connector finds lost while it prepares a statement has this message and no number.
    if _is_unanswered(error) or "MySQL Connection not available" in str(error):
        context.is_disconnect = True


def _is_unanswered(error: BaseException) -> bool:
    cause = getattr(error, "orig", error)
    return type(cause).__name__ in TIMEOUT_ERRORS or _number(error) in QUERY_TIMEOUTS


def _number(error: BaseException) -> int:
    return int(getattr(getattr(error, "orig", error), "errno", 0) or 0)


def _limit_of(error: Exception) -> Limit | None:
    return exceeded_limit(_number(error), str(getattr(error, "orig", error)))


def _is_transient(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError) or _is_about_trust(error):
        return False
    limit = _limit_of(error)
    if limit is not None:  # other programs of the account may let go of a connection; an hour is too long to wait for
        return limit.name == AT_ONCE and not limit.is_too_small
    locked = "database is locked" in str(error.orig)
    return error.connection_invalidated or _number(error) in TRANSIENT or _is_unanswered(error) or locked


def _is_about_trust(error: Exception) -> bool:
    # For a bad certificate the connector has no number, only a message.
    return _number(error) == NO_TLS or "certificate" in str(getattr(error, "orig", error)).lower()


def _cause(error: SQLAlchemyError) -> SQLAlchemyError:
    # SQLAlchemy wraps what the server says about a broken view into an error of its own.
    return error.__cause__ if isinstance(error.__cause__, DBAPIError) else error


def _meaning(error: DBAPIError) -> int:
    # Only an administrator is told that the DEFINER is gone. Others are denied in the middle of their work.
    number = _number(error)
    return NO_DEFINER if number == ACCESS_DENIED and error.statement else number


def _kind(error: SQLAlchemyError) -> type[DatabaseUnavailable]:
    # A bare StatementError is about a value that its column's type does not take.
    about_the_data = type(error).__name__ in ("DataError", "IntegrityError") or type(error) is StatementError
    return ValueRefused if about_the_data or _number(error) in REFUSALS else DatabaseUnavailable


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "sin detalle"
