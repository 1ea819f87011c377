"""Check the database server: whether it answers, its version, latency, clock, encryption and limits."""

from __future__ import annotations

import ipaddress
import os
import ssl
import statistics
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from sqlalchemy import Connection, text

from app.checkup.finding import BROKEN, DATABASE, OK, WARNING, Finding
from app.core.account_limits import Limit, read_limits
from app.core.config import Settings
from app.core.database import Database
from app.core.database_url import describe_url

# What the tests were run on: the oldest version of each, and all of them in words.
OLDEST_TRIED = {"MySQL": (5, 6), "MariaDB": (10, 11)}
TRIED = "MariaDB 10.11, MySQL 5.6 y MySQL 9.7"
SLOW_MS = 100.0  # a member costs about five queries: at this latency 10,000 members take an hour and a half
MAX_CLOCK_DRIFT = timedelta(minutes=1)
# A row of face_photos with its thumbnail, as SQL; and the rows that the run writes in one statement, or a batch.
ROW_BYTES, ROWS_AT_ONCE = 16_000, 32
LEAST_WAIT_S = 60  # a connection is idle that long while photos are downloaded
READ_ONLY = ("read_only", "super_read_only", "innodb_read_only")  # any of them; the first lets administrators write
MAY_WRITE_ANYWAY = ("SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN", "ALL PRIVILEGES")
PINGS = 3
WARN_BEFORE = timedelta(days=21)  # a certificate expires
RENEW = "Pida a quien administra ese servidor que renueve el certificado."


@dataclass(frozen=True, slots=True)
class Server:
    """What a server reports about itself. `drift` is how far its clock is ahead of this machine's."""

    version: str
    numbers: tuple[int, ...]
    is_mariadb: bool
    latency_ms: float
    drift: timedelta
    cipher: str
    certificate_until: datetime | None
    variables: Mapping[str, str]
    grants: Sequence[str]


def check_database(
    settings: Settings, stop: threading.Event, *, may_be_new: bool
) -> Generator[Finding, None, Database | None]:
    """Connect and return the database. With `may_be_new`, an SQLite file may not exist yet. Raises
    DatabaseUnavailable."""
    database = Database(settings, stop)
    if not database.is_mysql:
        if not may_be_new:
            database.require_file()
        yield from _check_sqlite_file(database)
        return database
    server = database.transaction(_read_server, retry=False)
    yield DATABASE.ok("reach", describe_url(database.url))
    batch = max(settings.BATCH_SIZE, ROWS_AT_ONCE)
    yield from judge_server(server, settings.DB_TLS, is_near=is_loopback(database.url.host or ""), batch=batch)
    yield from judge_account(database.transaction(read_limits, retry=False))
    return database


def _check_sqlite_file(database: Database) -> Iterator[Finding]:
    path = Path(database.url.database or ":memory:")
    if not database.exists:
        yield DATABASE.ok("reach", f"se creará el archivo {path}")
        path = path.parent
    else:
        database.transaction(lambda connection: connection.execute(text("SELECT 1")), retry=False)
        yield DATABASE.ok("reach", f"archivo {path}")
    if path.exists() and not all(os.access(needed, os.W_OK) for needed in (path, path.parent)):
        advice = f"Dé permiso de escritura en {path} y en su carpeta a quien ejecuta el programa."
        yield DATABASE.broken("read_only", "el archivo o su carpeta son de solo lectura", advice)


def _read_server(connection: Connection) -> Server:
    seconds, drifts = [], []
    for _ in range(PINGS):
        started = time.perf_counter()
        server_time = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
        seconds.append(time.perf_counter() - started)
        drifts.append(server_time - datetime.now(timezone.utc).replace(tzinfo=None))
    status = _pairs(connection, "SHOW SESSION STATUS LIKE 'Ssl%'")
    names = ", ".join(f"'{name}'" for name in ("max_allowed_packet", "wait_timeout", *READ_ONLY))
    return Server(
        version=str(connection.execute(text("SELECT VERSION()")).scalar_one()),
        numbers=tuple(n for n in connection.dialect.server_version_info or () if isinstance(n, int)),
        is_mariadb=bool(getattr(connection.dialect, "is_mariadb", False)),
        latency_ms=statistics.median(seconds) * 1000,
        drift=min(drifts, key=abs),
        cipher=status.get("Ssl_cipher", ""),
        certificate_until=read_date(status.get("Ssl_server_not_after", "")),
        variables=_pairs(connection, f"SHOW VARIABLES WHERE Variable_name IN ({names})"),
        grants=read_grants(connection),
    )


def _pairs(connection: Connection, sql: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in connection.execute(text(sql))}


def read_grants(connection: Connection) -> list[str]:
    """Return the statements that gave the connected user its rights."""
    return [str(line) for line in connection.execute(text("SHOW GRANTS")).scalars()]


def read_date(words: str) -> datetime | None:
    """Parse a date as OpenSSL writes it; None for anything else."""
    try:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(words), timezone.utc)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, so that no network carries what is sent to it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def judge_server(server: Server, tls: str, *, is_near: bool, batch: int) -> Iterator[Finding]:
    """Judge a server. `is_near`: it is on this machine; `batch`: rows in one statement."""
    yield _judge_version(server)
    yield _judge_latency(server)
    yield _judge_clock(server.drift)
    yield _judge_encryption(server, tls, is_near=is_near)
    if server.cipher and server.certificate_until is not None:
        level, message, advice = judge_expiry(server.certificate_until, "de la base")
        # An expired certificate is an obstacle only to DB_TLS=verify, which would have refused the connection.
        yield Finding(DATABASE.name, "certificate", WARNING if level == BROKEN else level, message, advice)
    yield from _judge_limits(server.variables, batch)
    yield from _judge_read_only(server)


def _judge_version(server: Server) -> Finding:
    message = server.version if server.is_mariadb else f"MySQL {server.version}"
    maker = "MariaDB" if server.is_mariadb else "MySQL"
    oldest = OLDEST_TRIED[maker]
    if server.numbers >= oldest:
        return DATABASE.ok("version", message)
    advice = f"Si algo falla, actualice el servidor a {maker} {'.'.join(map(str, oldest))} o posterior."
    return DATABASE.warning("version", f"{message}: más antiguo que los probados ({TRIED})", advice)


def _judge_latency(server: Server) -> Finding:
    message = f"responde en {server.latency_ms:.1f} ms".replace(".", ",")
    if server.latency_ms <= SLOW_MS:
        return DATABASE.ok("latency", message)
    advice = "Ejecute el programa más cerca de la base, o revise la red."
    return DATABASE.warning("latency", f"{message}: es lento", advice)


def _judge_clock(drift: timedelta) -> Finding:
    if abs(drift) <= MAX_CLOCK_DRIFT:
        return DATABASE.ok("clock", "la hora de la base y la de este equipo coinciden (se anota en UTC)")
    which = "adelantada" if drift > timedelta(0) else "atrasada"
    message = f"la hora de la base está {which} {abs(drift).total_seconds() / 60:.0f} min respecto de este equipo"
    return DATABASE.warning("clock", message, "Ponga ambos equipos en hora (por ejemplo, con chrony o timedatectl).")


def _judge_encryption(server: Server, tls: str, *, is_near: bool) -> Finding:
    if server.cipher:
        sure = "certificado comprobado" if tls == "verify" else "sin comprobar de quién es el certificado"
        return DATABASE.ok("encryption", f"cifrada ({server.cipher}), {sure}")
    if is_near:
        return DATABASE.ok("encryption", "sin cifrar, dentro de este mismo equipo")
    advice = "Active TLS en el servidor y ponga DB_TLS=verify (o al menos required) en .env."
    return DATABASE.warning("encryption", "los vectores viajan sin cifrar hasta otro equipo", advice)


def _judge_limits(variables: Mapping[str, str], batch: int) -> Iterator[Finding]:
    packet, wait_s = (int(variables.get(name, 0)) for name in ("max_allowed_packet", "wait_timeout"))
    needed = batch * ROW_BYTES
    advice = f"Pida a quien administra la base: SET GLOBAL max_allowed_packet = {max(needed, 16 * 2**20)};"
    message = f"max_allowed_packet: {packet / 2**20:.1f} MiB".replace(".", ",")
    if packet < needed:  # a server below MIN_PACKET_BYTES refuses the connection
        message += f": un lote de {batch} puede no caber"
        yield DATABASE.warning("packet", message, f"{advice}\nO baje BATCH_SIZE.")
    else:
        yield DATABASE.ok("packet", message)
    if wait_s < LEAST_WAIT_S:
        advice = "Pida a quien administra la base: SET GLOBAL wait_timeout = 28800;"
        yield DATABASE.warning("wait_timeout", f"la base corta a los {wait_s} s las conexiones en espera", advice)
    else:
        yield DATABASE.ok("wait_timeout", f"la base espera {wait_s} s antes de cortar")


def _judge_read_only(server: Server) -> Iterator[Finding]:
    enabled = [name for name in READ_ONLY if server.variables.get(name, "OFF") not in ("OFF", "0")]
    if not enabled:
        return
    rights = " ".join(line for line in server.grants if " ON *.* " in line)
    advice = "Indique en DB_HOST el servidor principal, no una réplica, o pida que se admita escribir."
    if enabled == ["read_only"] and any(right in rights for right in MAY_WRITE_ANYWAY):
        yield DATABASE.warning("read_only", "el servidor es de solo lectura; este usuario puede escribir igual", advice)
    else:
        yield DATABASE.broken("read_only", f"el servidor es de solo lectura ({', '.join(enabled)})", advice)


def judge_account(limits: Sequence[Limit]) -> Iterator[Finding]:
    """Judge the limits that the server sets on the account; none gives no finding."""
    small = [limit for limit in limits if limit.is_too_small]
    for limit in small:
        yield DATABASE.broken("account", f"límite de la cuenta demasiado bajo: {limit}", limit.advice)
    if limits and not small:
        yield DATABASE.ok("account", f"límites de la cuenta: {'; '.join(map(str, limits))}")


def judge_expiry(until: datetime, whose: str, now: datetime | None = None) -> tuple[str, str, str]:
    """Return level, sentence and advice for a certificate that is valid until then."""
    left, day = until - (now or datetime.now(timezone.utc)), f"{until:%d/%m/%Y}"
    if left <= timedelta(0):
        return BROKEN, f"el certificado {whose} venció el {day}", RENEW
    if left < WARN_BEFORE:
        days = {0: "menos de un día", 1: "un día"}.get(left.days, f"{left.days} días")
        return WARNING, f"el certificado {whose} vence en {days}, el {day}", RENEW
    return OK, f"válido hasta el {day}", ""
