"""Run a private MariaDB server on loopback, with its data in a given folder; or use the one of TEST_MYSQL_URL."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from mysql.connector.errorcode import ER_NO_SUCH_THREAD
from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError

HOST = "127.0.0.1"
START_TIMEOUT_S = 60
SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin"  # where Debian keeps mariadbd; often not in PATH
OPTIONS = (
    f"--bind-address={HOST}",
    "--skip-name-resolve=OFF",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=0",  # the data need not survive a power failure
    "--innodb-lock-wait-timeout=10",
    "--performance-schema=OFF",
)

KINDS_SINCE = (
    ("(UUID())", (8, 0, 13), "un DEFAULT que se calcula"),
    (" AS (", (5, 7), "una columna calculada"),
    ("JSON", (5, 7, 8), "JSON"),
    (" CHECK (", (8, 0, 16), "CHECK"),
)


@dataclass(frozen=True)
class MariaDb:
    """A running server, MariaDB or the one of TEST_MYSQL_URL; from this machine, root needs no password."""

    port: int

    @cached_property
    def version(self) -> str:
        """What the server calls itself, such as `10.11.6-MariaDB` or `5.6.24`."""
        return str(self.execute("SELECT VERSION()")[0][0])

    @property
    def is_mariadb(self) -> bool:
        """False for MySQL."""
        return "MariaDB" in self.version

    def need_mysql(self, *oldest: int, of: str) -> None:
        """Skip the test on a MySQL server older than this, which does not know `of`."""
        numbers = tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])
        if not self.is_mariadb and numbers < oldest:
            pytest.skip(f"MySQL {self.version}: {of} solo desde {'.'.join(map(str, oldest))}")

    def need_kinds(self, *kinds: str) -> None:
        """Skip the test on a server that does not know one of these definitions of a column."""
        if not self.is_mariadb and any(kind == "UUID" or "nopad" in kind for kind in kinds):
            pytest.skip(f"MySQL {self.version}: {', '.join(kinds)} solo en MariaDB")
        for word, since, what in KINDS_SINCE:
            if any(word in kind for kind in kinds):
                self.need_mysql(*since, of=what)

    def url(self, database: str = "", user: str = "root", password: str = "") -> URL:
        """Return the SQLAlchemy URL of one of its databases."""
        return URL.create("mysql+mysqlconnector", user, password, HOST, self.port, database or None)

    def execute(self, sql: str, database: str = "", /, **values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as root; return its rows."""
        arguments = {"use_pure": True, "charset": "utf8mb4", "collation": "utf8mb4_general_ci"}
        engine = create_engine(self.url(database), poolclass=NullPool, connect_args=arguments)
        with engine.begin() as connection:
            result = connection.exec_driver_sql(sql, values or None)
            return [tuple(row) for row in result] if result.returns_rows else []

    def create_user(self, name: str, password: str, *grants: str) -> None:
        """Create a user with a password and only these grants, such as `SELECT ON base.*`."""
        # CREATE OR REPLACE USER is MariaDB's, and MySQL before 5.7 knows no DROP USER IF EXISTS.
        if self.execute("SELECT 1 FROM mysql.user WHERE user = %(name)s", name=name):
            self.execute(f"DROP USER {name}@'%'")
        self.execute(f"CREATE USER {name}@'%' IDENTIFIED BY '{password}'")
        for grant in grants:
            self.execute(f"GRANT {grant} TO {name}@'%'")

    def limit_user(self, name: str, limits: str) -> None:
        """Set limits such as `MAX_QUERIES_PER_HOUR 100`, let a new hour begin, and cut the user's connections."""
        how = "GRANT USAGE ON *.* TO" if self.version.startswith("5.6") else "ALTER USER"
        self.execute(f"{how} {name}@'%' WITH {limits}")
        self.execute("FLUSH USER_RESOURCES")
        self.kill_connections("user", name)

    def lock_out(self, name: str) -> None:
        """Cut a user's connections, and let no more in. (ACCOUNT LOCK came with MySQL 5.7.)"""
        self.execute(f"RENAME USER {name}@'%' TO fuera@'%'")
        self.kill_connections("user", name)

    def kill_connections(self, column: str, value: str) -> int:
        """Kill the connections that have this value in a column of the process list (`user`, `db`), and return how
        many. One that ends by itself meanwhile does not count."""
        asked = f"SELECT id FROM information_schema.processlist WHERE {column} = %(value)s"  # noqa: S608
        killed = 0
        for (number,) in self.execute(asked, value=value):
            try:
                self.execute(f"KILL {number}")
                killed += 1
            except DatabaseError as error:
                if getattr(error.orig, "errno", None) != ER_NO_SUCH_THREAD:
                    raise
        return killed

    def let_in(self, name: str) -> None:
        """Undo `lock_out`."""
        self.execute(f"RENAME USER fuera@'%' TO {name}@'%'")


def find_program(name: str) -> str | None:
    """Return the path of a program; None where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")


def missing_programs() -> list[str]:
    """List the programs of the server that are not installed."""
    return [name for name in ("mariadb-install-db", "mariadbd") if find_program(name) is None]


def given_server() -> MariaDb | None:
    """Return the server that the environment variable TEST_MYSQL_URL names; None when it is not set."""
    given = os.environ.get("TEST_MYSQL_URL")
    if not given:
        return None
    if "PYTEST_XDIST_WORKER" in os.environ:
        raise ValueError("TEST_MYSQL_URL: sin -n, porque las cuentas y las bases son del servidor entero")
    url = make_url(given)
    if (url.username, url.password, url.host) != ("root", None, HOST):
        raise ValueError(f"TEST_MYSQL_URL: mysql://root@{HOST}:PUERTO, sin contraseña")
    return MariaDb(url.port or 3306)


def free_port() -> int:
    """Return a port on which no program listens at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class Daemon:
    """The server's process; it can be stopped and started again on the same data and port."""

    server: MariaDb
    words: list[str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self.words, stdout=output, stderr=output)
        _wait_until_ready(self.server, self.process, self.log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait()


@contextmanager
def running_mariadb(folder: Path, *options: str) -> Iterator[MariaDb]:
    """Start a server with its data in `folder`; stop it on leaving. The path must be short: it holds a socket."""
    with running_daemon(folder, *options) as daemon:
        yield daemon.server


@contextmanager
def running_daemon(folder: Path, *options: str) -> Iterator[Daemon]:
    """Start a server as `running_mariadb` does, and give its process, so that a test can stop it."""
    data = folder / "data"
    user = ["--user=root"] if os.geteuid() == 0 else []
    _initialise(data, user)
    server = MariaDb(free_port())
    words = [
        *(str(find_program("mariadbd")), "--no-defaults", *user, *OPTIONS, *options),
        *(
            f"--datadir={data}",
            f"--tmpdir={folder}",
            f"--port={server.port}",
            f"--socket={folder}/s",
            f"--pid-file={folder}/pid",
        ),
    ]
    daemon = Daemon(server, words, folder / "mariadbd.log")
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


def _initialise(data: Path, user: list[str]) -> None:
    words = [
        *(str(find_program("mariadb-install-db")), "--no-defaults", *user, f"--datadir={data}"),
        *("--auth-root-authentication-method=normal", "--skip-test-db"),
        f"--tmpdir={data.parent}",  # a server that starts removes what others have in the usual one
    ]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"mariadb-install-db: {result.stdout}{result.stderr}")


def _wait_until_ready(server: MariaDb, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            server.execute("SELECT 1")
        except DBAPIError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mariadbd: {log.read_text()}") from error
            time.sleep(0.05)
        else:
            return
