"""The database server: settings come in; what was found of reach, version, encryption, clock and limits goes out."""

from __future__ import annotations

import ipaddress
import os
import statistics
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from sqlalchemy import Connection, text

from app.checkup.check_certificate import judge_expiry, read_date
from app.checkup.finding import BROKEN, DATABASE, WARNING, Finding
from app.core.config import Settings
from app.core.database import Database, describe_url

OLDEST = {"MySQL": (5, 7), "MariaDB": (10, 2)}
SLOW_MS = 100.0  # a member costs some five questions: with this, 10,000 of them an hour and a half
MAX_CLOCK_DRIFT = timedelta(minutes=1)
# A row of face_photos with its thumbnail, as SQL; the books are written so many at once, or a batch.
ROW_BYTES, ROWS_AT_ONCE = 16_000, 32
LEAST_WAIT_S = 60  # a connection waits that long, while photos are downloaded
LOOPBACK = "localhost"
CLOSED = ("read_only", "super_read_only", "innodb_read_only")  # whichever is on; the first lets administrators write
ASKED = ("max_allowed_packet", "wait_timeout", *CLOSED)
MAY_WRITE_ANYWAY = ("SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN", "ALL PRIVILEGES")
TIMES_ASKED = 3


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself. `drift`: how far its clock is ahead of ours."""

    version: str
    numbers: tuple[int, ...]
    is_mariadb: bool
    latency_ms: float
    drift: timedelta
    cipher: str
    certificate_until: datetime | None
    variables: Mapping[str, str]
    grants: tuple[str, ...]

    @property
    def name(self) -> str:
        return "MariaDB" if self.is_mariadb else "MySQL"


def look_at_database(settings: Settings, stop: threading.Event) -> Generator[Finding, None, Database | None]:
    """The database; an SQLite file may still have to be made. Raises DatabaseUnavailable."""
    database = Database(settings, stop)
    if not database.is_mysql:
        yield from _look_at_file(database)
        return database
    server = database.transaction(_ask, retry=False)
    yield DATABASE.ok("reach", describe_url(database.url))
    batch = max(settings.BATCH_SIZE, ROWS_AT_ONCE)
    yield from judge_server(server, settings.DB_TLS, is_near=is_loopback(database.url.host or ""), batch=batch)
    return database


def _look_at_file(database: Database) -> Iterator[Finding]:
    path = Path(database.url.database or ":memory:")
    if not database.exists:
        yield DATABASE.ok("reach", f"se creará el archivo {path}")
        path = path.parent
    else:
        database.transaction(lambda connection: connection.execute(text("SELECT 1")), retry=False)
        yield DATABASE.ok("reach", f"archivo {path}")
    if path.exists() and not all(os.access(each, os.W_OK) for each in (path, path.parent)):
        advice = f"Dé permiso de escritura en {path} y en su carpeta a quien ejecuta el programa."
        yield DATABASE.broken("read_only", "el archivo o su carpeta son de solo lectura", advice)


def _ask(connection: Connection) -> Server:
    took, drifts = [], []
    for _ in range(TIMES_ASKED):
        started = time.perf_counter()
        theirs = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
        took.append(time.perf_counter() - started)
        drifts.append(theirs - datetime.now(timezone.utc).replace(tzinfo=None))
    status = dict(_pairs(connection, "SHOW SESSION STATUS LIKE 'Ssl%'"))
    names = ", ".join(f"'{name}'" for name in ASKED)
    return Server(
        version=str(connection.execute(text("SELECT VERSION()")).scalar_one()),
        numbers=tuple(n for n in connection.dialect.server_version_info or () if isinstance(n, int)),
        is_mariadb=bool(getattr(connection.dialect, "is_mariadb", False)),
        latency_ms=statistics.median(took) * 1000,
        drift=min(drifts, key=abs),
        cipher=status.get("Ssl_cipher", ""),
        certificate_until=read_date(status.get("Ssl_server_not_after", "")),
        variables=dict(_pairs(connection, f"SHOW VARIABLES WHERE Variable_name IN ({names})")),
        grants=tuple(str(row[0]) for row in connection.execute(text("SHOW GRANTS"))),
    )


def _pairs(connection: Connection, sql: str) -> Iterator[tuple[str, str]]:
    return ((str(row[0]), str(row[1])) for row in connection.execute(text(sql)))


def is_loopback(host: str) -> bool:
    """Whether what is sent there leaves this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == LOOPBACK


def judge_server(server: Server, tls: str, *, is_near: bool, batch: int) -> Iterator[Finding]:
    """What is to be thought of a server; `is_near`: on this machine; `batch`: rows in one statement."""
    yield _version(server)
    yield _latency(server)
    yield _clock(server.drift)
    yield _encryption(server, tls, is_near=is_near)
    if server.cipher and server.certificate_until is not None:
        level, text_, advice = judge_expiry(server.certificate_until, "de la base")
        # Expired, it is an obstacle only where it is verified, and there nobody would have come this far.
        yield Finding(DATABASE.name, "certificate", WARNING if level == BROKEN else level, text_, advice)
    yield from _limits(server.variables, batch)
    yield from _read_only(server)


def _version(server: Server) -> Finding:
    text_ = server.version if server.is_mariadb else f"MySQL {server.version}"
    oldest = OLDEST[server.name]
    if server.numbers >= oldest:
        return DATABASE.ok("version", text_)
    wanted = ".".join(map(str, oldest))
    advice = f"Actualice el servidor a {server.name} {wanted} o posterior."
    return DATABASE.warning("version", f"{text_}: el programa está probado desde {server.name} {wanted}", advice)


def _latency(server: Server) -> Finding:
    text_ = f"responde en {server.latency_ms:.1f} ms".replace(".", ",")
    if server.latency_ms <= SLOW_MS:
        return DATABASE.ok("latency", text_)
    return DATABASE.warning(
        "latency", f"{text_}: es lento", "Ejecute el programa más cerca de la base, o revise la red."
    )


def _clock(drift: timedelta) -> Finding:
    if abs(drift) <= MAX_CLOCK_DRIFT:
        return DATABASE.ok("clock", "la hora de la base y la de este equipo coinciden (se anota en UTC)")
    which = "adelantada" if drift > timedelta(0) else "atrasada"
    text_ = f"la hora de la base está {which} {abs(drift).total_seconds() / 60:.0f} min respecto de este equipo"
    return DATABASE.warning("clock", text_, "Ponga ambos equipos en hora (por ejemplo, con chrony o timedatectl).")


def _encryption(server: Server, tls: str, *, is_near: bool) -> Finding:
    if server.cipher:
        sure = "certificado comprobado" if tls == "verify" else "sin comprobar de quién es el certificado"
        return DATABASE.ok("encryption", f"cifrada ({server.cipher}), {sure}")
    if is_near:
        return DATABASE.ok("encryption", "sin cifrar, dentro de este mismo equipo")
    advice = "Active TLS en el servidor y ponga DB_TLS=verify (o al menos required) en .env."
    return DATABASE.warning("encryption", "los vectores viajan sin cifrar hasta otro equipo", advice)


def _limits(variables: Mapping[str, str], batch: int) -> Iterator[Finding]:
    packet, wait_s = (int(variables.get(name, 0)) for name in ("max_allowed_packet", "wait_timeout"))
    needed = batch * ROW_BYTES
    advice = f"Pida a quien administra la base: SET GLOBAL max_allowed_packet = {max(needed, 16 * 2**20)};"
    text_ = f"max_allowed_packet: {packet / 2**20:.1f} MiB".replace(".", ",")
    if packet < needed:  # far too little: connecting said so
        yield DATABASE.warning("packet", f"{text_}: un lote de {batch} puede no caber", f"{advice}\nO baje BATCH_SIZE.")
    else:
        yield DATABASE.ok("packet", text_)
    if wait_s < LEAST_WAIT_S:
        advice = "Pida a quien administra la base: SET GLOBAL wait_timeout = 28800;"
        yield DATABASE.warning("wait_timeout", f"la base corta a los {wait_s} s las conexiones en espera", advice)
    else:
        yield DATABASE.ok("wait_timeout", f"la base espera {wait_s} s antes de cortar")


def _read_only(server: Server) -> Iterator[Finding]:
    closed = [name for name in CLOSED if server.variables.get(name, "OFF") not in ("OFF", "0")]
    if not closed:
        return
    rights = " ".join(line for line in server.grants if " ON *.* " in line)
    advice = "Indique en DB_HOST el servidor principal, no una réplica, o pida que se admita escribir."
    if closed == ["read_only"] and any(right in rights for right in MAY_WRITE_ANYWAY):
        yield DATABASE.warning("read_only", "el servidor es de solo lectura; este usuario puede escribir igual", advice)
    else:
        yield DATABASE.broken("read_only", f"el servidor es de solo lectura ({', '.join(closed)})", advice)
