"""The roster in a database table: `active()` gives its members, each with exactly one photo to look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Numeric,
    Row,
    Select,
    String,
    Table,
    cast,
    inspect,
    select,
    type_coerce,
)
from sqlalchemy.dialects.mysql import BIT
from sqlalchemy.exc import NoSuchTableError

from app.core.config import Settings
from app.core.database import Database, describe_url
from app.errors import DatabaseUnavailable, DuplicateMember, ItemError, MemberNotProcessable, NoPhoto, SettingsError
from app.records import CrewMember, Failed

SHOWN_NAMES = 20  # of tables or columns in a message


@dataclass(frozen=True, slots=True)
class RosterLayout:
    """What the customer's table and columns are called, and the status of an active member."""

    table: str
    crew_id: str
    photo: str
    names: str
    surnames: str
    status: str
    active_value: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.crew_id, self.photo, self.names, self.surnames, self.status)


class DatabaseRoster:
    """Reads the crew. Raises DatabaseUnavailable, saying what exists instead, when the table is not as described."""

    def __init__(self, database: Database, layout: RosterLayout) -> None:
        self._database = database
        self._layout = layout

    def active(self) -> list[CrewMember | Failed]:
        """All active members in the order of their ids; those that no photo can be fetched for come as Failed."""
        rows = self._database.transaction(lambda connection: self._read(connection, None))
        return list(_one_entry_each(rows))

    def find(self, crew_id: str) -> CrewMember | Failed:
        """One active member. Raises MemberNotProcessable: unknown, inactive or without photo."""
        rows = self._database.transaction(lambda connection: self._read(connection, crew_id))
        if not rows:
            raise MemberNotProcessable(
                f"El tripulante {crew_id} no existe en la tabla {self._layout.table}",
                "Revise el identificador.",
            )
        active = [row for row in rows if row.is_active]
        if not active:
            raise MemberNotProcessable(
                f"El tripulante {crew_id} está inactivo ({self._layout.status} distinto de "
                f"{self._layout.active_value})",
                "Solo se procesan tripulantes activos: actívelo en el padrón si corresponde.",
            )
        entry = next(iter(_one_entry_each(active)))
        if isinstance(entry, Failed) and entry.code == NoPhoto.code:
            raise MemberNotProcessable(f"El tripulante {crew_id} no tiene foto registrada", NoPhoto.advice)
        return entry

    def _read(self, connection: Connection, crew_id: str | None) -> list[Row[tuple[object, ...]]]:
        return list(connection.execute(self._query(self._reflect(connection), crew_id)))

    def _query(self, table: Table, crew_id: str | None) -> Select[tuple[object, ...]]:
        layout = self._layout
        is_active = _has_status(table.c[layout.status], layout.active_value)
        query = select(
            table.c[layout.crew_id].label("crew_id"),
            table.c[layout.photo].label("photo_name"),
            table.c[layout.names].label("names"),
            table.c[layout.surnames].label("surnames"),
            is_active.label("is_active"),
        ).order_by(table.c[layout.crew_id])
        return query.where(is_active if crew_id is None else _as_text(table.c[layout.crew_id]) == crew_id)

    def _reflect(self, connection: Connection) -> Table:
        layout = self._layout
        try:
            table = Table(layout.table, MetaData(), autoload_with=connection, resolve_fks=False)
        except NoSuchTableError:
            tables = inspect(connection).get_table_names()
            raise self._missing(f"no existe la tabla {layout.table}", tables, "ROSTER_TABLE") from None
        missing = [name for name in layout.columns if name not in table.c]
        if missing:
            text = f"la tabla {layout.table} no tiene la columna {', '.join(missing)}"
            raise self._missing(text, list(table.c.keys()), "ROSTER_*_COLUMN")
        return table

    def _missing(self, what: str, existing: list[str], setting: str) -> DatabaseUnavailable:
        shown = ", ".join(sorted(existing)[:SHOWN_NAMES]) or "nada que este usuario pueda ver"
        where = describe_url(self._database.url)
        message = f"Conexión a base de datos: {where}: {what}. Existen: {shown}"
        return DatabaseUnavailable(message, f"Corrija {setting} en .env, o el permiso SELECT del usuario.")


def _has_status(column: Column[Any], value: str) -> ColumnElement[bool]:
    """Whether the column holds the value, given as a number where the column holds numbers.

    Raises SettingsError for a word there: MySQL would take it for 0, and those who left for active.
    """
    if not isinstance(column.type, Integer | Numeric | Boolean | BIT):
        return column == value
    try:
        return type_coerce(column, Integer) == int(value)
    except ValueError:
        kind = f"la columna {column.name} guarda números ({column.type})"
        raise SettingsError(f"ROSTER_ACTIVE_VALUE: «{value}» no puede ser: {kind}") from None


def _as_text(column: Column[Any]) -> ColumnElement[Any]:
    """The ids as text: MySQL would find the number 789 when asked for `789x`."""
    return cast(column, String) if isinstance(column.type, Integer) else column


def _one_entry_each(rows: Iterable[Row[tuple[object, ...]]]) -> Iterable[CrewMember | Failed]:
    """One entry for each crew id; an id that stands twice with different photos is nobody's to guess."""
    by_id: dict[str, list[CrewMember]] = {}
    for row in rows:
        member = _member(row)
        by_id.setdefault(member.crew_id, []).append(member)
    for members in by_id.values():
        photos = sorted({member.photo_name for member in members})
        if len(photos) > 1:
            yield _failed(members[0], DuplicateMember(f"{len(members)} filas con fotos distintas: {', '.join(photos)}"))
        elif not photos[0]:
            yield _failed(members[0], NoPhoto())
        else:
            yield members[0]


def _member(row: Row[tuple[object, ...]]) -> CrewMember:
    crew_id, photo_name, names, surnames = ("" if value is None else str(value).strip() for value in row[:4])
    return CrewMember(crew_id, photo_name, f"{names} {surnames}".strip())


def _failed(member: CrewMember, error: ItemError) -> Failed:
    return Failed(member, error.stage, error.code, error.detail)


def open_roster(settings: Settings, database: Database) -> DatabaseRoster:
    """The roster table under the names that the customer gave it."""
    layout = RosterLayout(
        table=settings.ROSTER_TABLE,
        crew_id=settings.ROSTER_ID_COLUMN,
        photo=settings.ROSTER_PHOTO_COLUMN,
        names=settings.ROSTER_NAMES_COLUMN,
        surnames=settings.ROSTER_SURNAMES_COLUMN,
        status=settings.ROSTER_STATUS_COLUMN,
        active_value=settings.ROSTER_ACTIVE_VALUE,
    )
    return DatabaseRoster(database, layout)
