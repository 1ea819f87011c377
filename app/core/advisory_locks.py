"""Take MySQL's advisory locks: names that one connection at a time can hold, and that end with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from app.core.database import unavailable

LOCK_TIMEOUT_S = 10  # well below DB_ANSWER_TIMEOUT_S, after which the connection would be given up
MAX_LOCK_CHARACTERS = 64  # MySQL's limit


@contextmanager
def holding_off_others(connection: Connection, what: str) -> Iterator[None]:
    """Make other runs wait at the same place until the block ends.

    MySQL commits every change of a table at once, so that a transaction does not keep other runs out; SQLite's
    transaction does. Raises DatabaseUnavailable if another run does not finish in time.
    """
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
    """Return the name of the lock for `what` in this database.

    A server has one set of names, without regard to case, for all of its databases. It holds a digest because the
    longest name of a database would fill MySQL's limit.
    """
    return f"{what} {hashlib.sha256(database.encode()).hexdigest()}"[:MAX_LOCK_CHARACTERS]
