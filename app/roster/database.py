"""Read the roster from the customer's table: the active members, each with exactly one photo."""

from __future__ import annotations

from collections.abc import Iterable
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

from app.core.config import RosterSettings
from app.core.database import Database, unavailable
from app.errors import DatabaseUnavailable, DuplicateMember, ItemError, MemberNotProcessable, NoPhoto, SettingsError
from app.records import CrewMember, Failed

SHOWN_NAMES = 20  # of tables or columns in a message
COLUMN_SETTINGS = [name for name in RosterSettings.model_fields if name.endswith("_COLUMN")]


class DatabaseRoster:
    """Reads the crew. Raises DatabaseUnavailable, naming what exists instead, if the table is not as described."""

    def __init__(self, settings: RosterSettings, database: Database) -> None:
        self._settings = settings
        self._database = database

    def active(self) -> list[CrewMember | Failed]:
        """List all active members in the order of their ids; those without a photo to fetch as Failed."""
        rows = self._database.transaction(lambda connection: self._read(connection, None))
        return list(_one_entry_each(rows))

    def find(self, crew_id: str) -> CrewMember | Failed:
        """Return one active member. Raises MemberNotProcessable if the member is unknown, inactive or has no photo."""
        rows = self._database.transaction(lambda connection: self._read(connection, crew_id))
        if not rows:
            raise MemberNotProcessable(
                f"El tripulante {crew_id} no existe en la tabla {self._settings.ROSTER_TABLE}",
                "Revise el identificador.",
            )
        active = [row for row in rows if row.is_active]
        if not active:
            raise MemberNotProcessable(
                f"El tripulante {crew_id} está inactivo ({self._settings.ROSTER_STATUS_COLUMN} distinto de "
                f"{self._settings.ROSTER_ACTIVE_VALUE})",
                "Solo se procesan tripulantes activos: actívelo en el padrón si corresponde.",
            )
        entry = next(iter(_one_entry_each(active)))
        if isinstance(entry, Failed) and entry.code == NoPhoto.code:
            raise MemberNotProcessable(f"El tripulante {crew_id} no tiene foto registrada", NoPhoto.advice)
        return entry

    def _read(self, connection: Connection, crew_id: str | None) -> list[Row[tuple[object, ...]]]:
        return list(connection.execute(self._query(self._reflect(connection), crew_id)))

    def _query(self, table: Table, crew_id: str | None) -> Select[tuple[object, ...]]:
        settings = self._settings
        key = table.c[settings.ROSTER_ID_COLUMN]
        is_active = _has_status(table.c[settings.ROSTER_STATUS_COLUMN], settings.ROSTER_ACTIVE_VALUE)
        query = select(
            key.label("crew_id"),
            table.c[settings.ROSTER_PHOTO_COLUMN].label("photo_name"),
            table.c[settings.ROSTER_NAMES_COLUMN].label("names"),
            table.c[settings.ROSTER_SURNAMES_COLUMN].label("surnames"),
            is_active.label("is_active"),
        ).order_by(key)
        return query.where(is_active if crew_id is None else _as_text(key) == crew_id)

    def _reflect(self, connection: Connection) -> Table:
        name = self._settings.ROSTER_TABLE
        base, table_name = split_name(name)
        try:
            table = Table(table_name, MetaData(), schema=base, autoload_with=connection, resolve_fks=False)
        except NoSuchTableError:
            schema = inspect(connection)
            existing = schema.get_table_names(base) + schema.get_view_names(base)
            raise self._missing(f"no existe la tabla {name}", existing, "ROSTER_TABLE") from None
        wanted = (getattr(self._settings, setting) for setting in COLUMN_SETTINGS)
        missing = [column for column in wanted if column not in table.c]
        if missing:
            text = f"la tabla {name} no tiene la columna {', '.join(missing)}"
            raise self._missing(text, list(table.c.keys()), "ROSTER_*_COLUMN")
        return table

    def _missing(self, what: str, existing: list[str], setting: str) -> DatabaseUnavailable:
        shown = ", ".join(sorted(existing)[:SHOWN_NAMES]) or "nada que este usuario pueda ver"
        advice = f"Corrija {setting} en .env, o el permiso SELECT del usuario."
        return unavailable(self._database.url, f"{what}. Existen: {shown}", advice)


def split_name(roster_table: str) -> tuple[str | None, str]:
    """Return the database, None for that of DB_NAME, and the table or view that ROSTER_TABLE names."""
    base, dot, name = roster_table.partition(".")
    return (base, name) if dot else (None, roster_table)


def _has_status(column: Column[Any], value: str) -> ColumnElement[bool]:
    """Return the condition that the column has this value. Raises SettingsError for a word if the column is numeric:
    MySQL would compare it as 0, the status of departed members."""
    if not isinstance(column.type, Integer | Numeric | Boolean | BIT):
        return column == value
    try:
        return type_coerce(column, Integer) == int(value)
    except ValueError:
        kind = f"la columna {column.name} guarda números ({column.type})"
        raise SettingsError(f"ROSTER_ACTIVE_VALUE: «{value}» no puede ser: {kind}") from None


def _as_text(column: Column[Any]) -> ColumnElement[Any]:
    # MySQL would find the number 789 for `789x`.
    return cast(column, String) if isinstance(column.type, Integer) else column


def _one_entry_each(rows: Iterable[Row[tuple[object, ...]]]) -> Iterable[CrewMember | Failed]:
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
