"""The limits that a host sets on the database's account, by the hour and at once: what they are, what a run needs of
them, and how much of them this process has used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.core.spanish import inflect

QUERIES, UPDATES = "MAX_QUERIES_PER_HOUR", "MAX_UPDATES_PER_HOUR"
CONNECTIONS, AT_ONCE = "MAX_CONNECTIONS_PER_HOUR", "MAX_USER_CONNECTIONS"
EXCEEDED = 1226
NAMES_IN_ERRORS = {"max_questions": QUERIES, "max_updates": UPDATES} | {
    name.lower(): name for name in (QUERIES, UPDATES, CONNECTIONS, AT_ONCE)
}
CONNECTING = 15  # statements of the driver, of SQLAlchemy and of ours on each new connection
NO_UPDATE = re.compile(r"\s*(SELECT|SHOW|SET|EXPLAIN)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Need:
    """What a run needs of a limit: `least` without anybody to process, with the tables still to be made; at most `each`
    more for a member; `reserve` to end in good order. Measured with one member a batch."""

    words: str
    least: int
    each: int = 0
    reserve: int = 0


NEEDS = {
    QUERIES: Need("# consulta[s] por hora", least=200, each=10, reserve=60),
    UPDATES: Need("# cambio[s] por hora", least=50, each=7, reserve=20),
    CONNECTIONS: Need("# [conexión|conexiones] por hora", least=2),  # for the lock, and for all else
    AT_ONCE: Need("# [conexión|conexiones] a la vez", least=2),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the account, and its value."""

    name: str
    value: int

    def __str__(self) -> str:
        return f"{inflect(self.value, self._need.words)} ({self.name})"

    @property
    def _need(self) -> Need:
        return NEEDS[self.name]

    @property
    def is_too_small(self) -> bool:
        """Tell whether no run at all fits into it."""
        return self.value < self._need.least

    def needed(self, members: int) -> int:
        """Return what a run that processes so many members needs at most."""
        return self._need.least + self._need.each * members

    @property
    def members(self) -> int:
        """About how many members a run processes within it, where it needs something for each."""
        return max(1, (self.value - self._need.least) // self._need.each)

    def is_spent(self, used: int) -> bool:
        """Tell whether what is left is only enough to end in good order."""
        return self._need.reserve > 0 and used + self._need.reserve >= self.value

    @property
    def advice(self) -> str:
        """Say what a run needs of it (Spanish)."""
        need = self._need
        more = f", y hasta {need.each} más por cada persona que procesa" if need.each else ""
        wait = "" if self.name == AT_ONCE else " Se renueva cada hora."
        return f"Una ejecución necesita al menos {need.least}{more}. Pida ese límite a quien administra la base.{wait}"


class Allowance:
    """The limits of an account, and how much of each this process has used; `used` is counted by the database."""

    def __init__(self, limits: list[Limit], used: Mapping[str, int]) -> None:
        self._limits, self._used = limits, used

    def spent(self) -> Limit | None:
        """Return the limit of which only enough is left to end in good order."""
        return next((limit for limit in self._limits if limit.is_spent(self._used[limit.name])), None)


def read_limits(connection: Connection) -> list[Limit]:
    """Return the limits that the server sets on the connected account."""
    if connection.dialect.name == "sqlite":
        return []
    lines = [str(line) for line in connection.execute(text("SHOW GRANTS")).scalars()]
    try:  # where MySQL shows them since 5.7; MariaDB shows the password's hash only to those who may see it
        lines += [str(line) for line in connection.execute(text("SHOW CREATE USER CURRENT_USER()")).scalars()]
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
    found = {name: int(value) for line in lines for name, value in re.findall(r"\b(MAX_\w+) (\d+)", line)}
    found[AT_ONCE] = int(connection.execute(text("SELECT @@max_user_connections")).scalar_one())
    return [Limit(name, found[name]) for name in NEEDS if found.get(name)]  # 0: none


def exceeded_limit(number: int, message: str) -> Limit | None:
    """Return the limit that an error of the server names; None for another error."""
    names = [NAMES_IN_ERRORS[word] for word in re.findall(r"\w+", message) if word in NAMES_IN_ERRORS]
    values = re.findall(r"\d+", message)
    return Limit(names[-1], int(values[-1])) if number == EXCEEDED and names and values else None


def count_statement(used: Counter[str], statement: str, times: int) -> None:
    """Count a statement as the server does."""
    used[QUERIES] += times
    used[UPDATES] += 0 if NO_UPDATE.match(statement) else times
