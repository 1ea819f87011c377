"""Read the roster from the customer's table: the active members, each with exactly one photo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, MetaData, Select, Table, func, inspect, select, true
from sqlalchemy.exc import NoSuchTableError

from app.core.config import RosterSettings
from app.core.database import AS_THEY_COME, Database, unavailable
from app.core.shown_text import NUMBER, ZERO_DATE, is_zero_time, show_as_text, shown_text
from app.core.spanish import suggest
from app.errors import DatabaseUnavailable, DuplicateMember, ItemError, MemberNotProcessable, NoPhoto, SettingsError
from app.records import CrewMember, Failed

Rows = TypeVar("Rows")

SHOWN_NAMES = 20  # of tables or columns in a message
COLUMN_SETTINGS = [name for name in RosterSettings.model_fields if name.endswith("_COLUMN")]


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A row of the table. One person may have several."""

    member: CrewMember
    is_active: bool


@dataclass(frozen=True, slots=True)
class RosterColumns:
    """The table's columns, all read as text, and the condition that a row is active."""

    crew_id: Column[Any]
    photo_name: Column[Any]
    names: Column[Any]
    surnames: Column[Any]
    status: Column[Any]
    is_active: ColumnElement[bool]

    @property
    def of_member(self) -> tuple[Column[Any], ...]:
        return self.crew_id, self.photo_name, self.names, self.surnames


class DatabaseRoster:
    """Reads the crew. Raises DatabaseUnavailable, naming what exists instead, if the table is not as described."""

    def __init__(self, settings: RosterSettings, database: Database) -> None:
        self._settings = settings
        self._database = database

    def active(self) -> list[CrewMember | Failed]:
        """List all active members in the order of their ids; those without a photo to fetch as Failed."""
        return self.fold_rows(lambda rows: list(one_entry_each(rows)))

    def fold_rows(self, fold: Callable[[Iterator[CrewMember]], Rows]) -> Rows:
        """Return what `fold` makes of the rows of the active members as they come, in the order of their ids, for
        `one_entry_each`. `fold` may not use the database. After a lost connection it begins anew."""

        def read(connection: Connection) -> Rows:
            columns = self._columns(connection)
            query = select(*columns.of_member).where(columns.is_active).order_by(columns.crew_id)
            return fold(_member(*row) for row in connection.execute(query, execution_options=AS_THEY_COME))

        return self._database.transaction(read)

    def find(self, crew_id: str) -> CrewMember | Failed:
        """Return one active member. Raises MemberNotProcessable if the member is unknown, inactive or has no photo."""
        rows = self._read(lambda columns: columns.crew_id == crew_id)
        if not _with_id(crew_id, rows):
            rows = self._read(lambda _: true())
        mine = _with_id(crew_id, rows)
        if not mine:
            raise MemberNotProcessable(
                f"El tripulante {crew_id} no existe en la tabla {self._settings.ROSTER_TABLE}",
                f"Revise el identificador.{suggest(crew_id, (row.member.crew_id for row in rows))}",
            )
        active = [row for row in mine if row.is_active]
        if not active:
            raise MemberNotProcessable(
                f"El tripulante {crew_id} está inactivo ({self._settings.ROSTER_STATUS_COLUMN} distinto de "
                f"{self._settings.ROSTER_ACTIVE_VALUE})",
                "Solo se procesan tripulantes activos: actívelo en el padrón si corresponde.",
            )
        entry = next(iter(one_entry_each(row.member for row in active)))
        if isinstance(entry, Failed) and entry.code == NoPhoto.code:
            raise MemberNotProcessable(f"El tripulante {crew_id} no tiene foto registrada", NoPhoto.advice)
        return entry

    def count_statuses(self, limit: int) -> list[tuple[str, int]]:
        """Return the most frequent values of the status column, and how many rows have each."""

        def count(connection: Connection) -> list[tuple[str, int]]:
            status = self._columns(connection).status
            query = select(status, func.count()).group_by(status).order_by(func.count().desc()).limit(limit)
            return [(value, number) for value, number in connection.execute(query)]

        return self._database.transaction(count, retry=False)

    def active_ids(self, connection: Connection) -> Select[tuple[str]]:
        """Select the active members' ids as text, for questions to the database about them."""
        columns = self._columns(connection)
        return select(func.trim(shown_text(columns.crew_id).text_by_sql(columns.crew_id)).label("crew_id")).where(
            columns.is_active
        )

    def _read(self, condition: Callable[[RosterColumns], ColumnElement[bool]]) -> list[RosterRow]:
        def read(connection: Connection) -> list[RosterRow]:
            columns = self._columns(connection)
            query = select(*columns.of_member, columns.is_active).where(condition(columns)).order_by(columns.crew_id)
            return [RosterRow(_member(*shown), bool(active)) for *shown, active in connection.execute(query)]

        return self._database.transaction(read)

    def _columns(self, connection: Connection) -> RosterColumns:
        columns = self._reflect(connection)
        for column in set(columns.values()):
            show_as_text(column)
        status = columns["ROSTER_STATUS_COLUMN"]
        return RosterColumns(
            crew_id=columns["ROSTER_ID_COLUMN"],
            photo_name=columns["ROSTER_PHOTO_COLUMN"],
            names=columns["ROSTER_NAMES_COLUMN"],
            surnames=columns["ROSTER_SURNAMES_COLUMN"],
            status=status,
            is_active=_has_status(status, self._settings.ROSTER_ACTIVE_VALUE),
        )

    def _reflect(self, connection: Connection) -> dict[str, Column[Any]]:
        """Return the table's columns by setting. Their names are caseless, as in the database."""
        name = self._settings.ROSTER_TABLE
        base, table_name = split_name(name)
        try:
            table = Table(table_name, MetaData(), schema=base, autoload_with=connection, resolve_fks=False)
        except NoSuchTableError:
            schema = inspect(connection)
            existing = schema.get_table_names(base) + schema.get_view_names(base)
            raise self._missing(f"no existe la tabla {name}", existing, "ROSTER_TABLE") from None
        by_name = {column.name.lower(): column for column in table.c}
        wanted = {setting: getattr(self._settings, setting) for setting in COLUMN_SETTINGS}
        missing = [column for column in wanted.values() if column.lower() not in by_name]
        if missing:
            text = f"la tabla {name} no tiene la columna {', '.join(missing)}"
            raise self._missing(text, list(table.c.keys()), "ROSTER_*_COLUMN")
        return {setting: by_name[column.lower()] for setting, column in wanted.items()}

    def _missing(self, what: str, existing: list[str], setting: str) -> DatabaseUnavailable:
        shown = ", ".join(sorted(existing)[:SHOWN_NAMES]) or "nada que este usuario pueda ver"
        advice = f"Corrija {setting} en .env, o el permiso SELECT del usuario."
        return unavailable(self._database.url, f"{what}. Existen: {shown}", advice)


def split_name(roster_table: str) -> tuple[str | None, str]:
    """Return the database, None for that of DB_NAME, and the table or view that ROSTER_TABLE names."""
    base, dot, name = roster_table.partition(".")
    return (base, name) if dot else (None, roster_table)


def _has_status(column: Column[Any], value: str) -> ColumnElement[bool]:
    """Return the condition that the column has this value, as the database compares it. Raises SettingsError for a word
    if the column is numeric: MySQL would compare it as 0, the status of departed members."""
    shown = shown_text(column)
    if shown.is_number and not NUMBER.fullmatch(value):
        kind = f"la columna {column.name} guarda números ({shown.stored})"
        raise SettingsError(f"ROSTER_ACTIVE_VALUE: «{value}» no puede ser: {kind}")
    if shown.is_time and is_zero_time(value):  # of people who have not left
        return shown.text_by_sql(column).startswith(ZERO_DATE)
    return column == value


def one_entry_each(rows: Iterable[CrewMember | Failed]) -> Iterator[CrewMember | Failed]:
    """Yield one entry for each member, from all rows of these members: Failed if there is no photo, or several. One
    of a folder of photos may be Failed already."""
    by_id: dict[str, CrewMember | Failed] = {}
    further: dict[str, list[CrewMember]] = {}  # rows of a few
    for row in rows:
        first = by_id.setdefault(row.crew_id, row)
        if first is not row and isinstance(row, CrewMember):
            further.setdefault(row.crew_id, []).append(row)
    for crew_id, first in by_id.items():
        if isinstance(first, Failed):
            yield first
            continue
        photos = {each.photo_name for each in (first, *further.get(crew_id, ()))}
        if len(photos) > 1:
            number = 1 + len(further[crew_id])
            yield _failed(first, DuplicateMember(f"{number} filas con fotos distintas: {', '.join(sorted(photos))}"))
        elif not first.photo_name:
            yield _failed(first, NoPhoto())
        else:
            yield first


def _member(crew_id: str, photo_name: str, names: str, surnames: str) -> CrewMember:
    return CrewMember(crew_id, photo_name, f"{names} {surnames}".strip())


def _with_id(crew_id: str, rows: Iterable[RosterRow]) -> list[RosterRow]:
    return [row for row in rows if row.member.crew_id == crew_id]


def _failed(member: CrewMember, error: ItemError) -> Failed:
    return Failed(member, error.stage, error.code, error.detail)
