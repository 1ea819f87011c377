"""MySQL's advisory locks: names that one connection of a server holds at a time, and that end with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from app.core.database import describe_url
from app.errors import DatabaseUnavailable

LOCK_TIMEOUT_S = 10  # well below what a server is given to answer (DB_ANSWER_TIMEOUT_S)
MAX_LOCK_CHARACTERS = 64  # MySQL's limit


@contextmanager
def holding_off_others(connection: Connection, what: str) -> Iterator[None]:
    """While inside, other runs wait at the same place: MySQL commits every change of a table by itself, so that no
    transaction holds them off. SQLite's does. Raises DatabaseUnavailable when another does not finish."""
    if connection.dialect.name == "sqlite":
        yield
        return
    name = lock_name(what, connection.engine.url.database or "")
    if connection.execute(select(func.get_lock(name, LOCK_TIMEOUT_S))).scalar() != 1:  # 0: too late; NULL: an error
        where = describe_url(connection.engine.url)
        message = f"Conexión a base de datos: {where}: otra ejecución está preparando las tablas"
        raise DatabaseUnavailable(message, "Espere a que termine y vuelva a ejecutar.")
    try:
        yield
    finally:
        if not connection.invalidated:  # the lock ended with the connection; asking would hide why that ended
            connection.execute(select(func.release_lock(name)))


def lock_name(what: str, database: str) -> str:
    """Of an advisory lock: a server has one set of names for all of its databases, told apart without regard to case.
    A digest, since the longest name of a database alone fills MySQL's limit."""
    return f"{what} {hashlib.sha256(database.encode()).hexdigest()}"[:MAX_LOCK_CHARACTERS]
