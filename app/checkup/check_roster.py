"""Check the roster: how many members it has, which of them will fail, and whether their ids fit into the gallery."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

from sqlalchemy import Connection

from app.checkup.check_privileges import READ, Account, open_account
from app.checkup.check_tables import Shape
from app.checkup.finding import ROSTER, Finding
from app.core.config import Settings
from app.core.database import Database
from app.core.spanish import inflect, say_some
from app.errors import BadName, DuplicateMember, NoPhoto, SeveralPhotos
from app.gallery.tables import TABLE
from app.photos.urls import photo_url
from app.planning.plan import RosterEntry
from app.records import CrewMember, Failed
from app.roster.database import DatabaseRoster

ASK_ADMINISTRATOR = "Pida a quien administra la base, si ya existe la tabla:"
SHOWN = 5  # ids, or values of the status
PEOPLE, CHARACTERS = "# persona[s] activa[s]", "# [carácter|caracteres]"
SHORTEN = {
    "id_length": "Acorte esos identificadores, que son el nombre de su carpeta si las fotos están en una.",
    "url_length": "Acorte el nombre del archivo de esas fotos, o IMAGE_BASE_URL.",
}
# Errors that come from the roster itself: the finding's name, and its words.
ROSTER_ERRORS = {
    NoPhoto: ("no_photo", "sin foto registrada"),
    DuplicateMember: ("duplicate_ids", "con identificador repetido y fotos distintas"),
    SeveralPhotos: ("several_photos", "con varias fotos en su carpeta"),
}


def read_roster(settings: Settings, database: Database) -> Generator[Finding, None, list[RosterEntry] | None]:
    """Check the roster table and return its active entries; None without the right to read it. Raises RunError."""
    columns = dict.fromkeys((settings.ROSTER_ID_COLUMN, settings.ROSTER_PHOTO_COLUMN, settings.ROSTER_NAMES_COLUMN))
    columns |= dict.fromkeys((settings.ROSTER_SURNAMES_COLUMN, settings.ROSTER_STATUS_COLUMN))
    if database.is_mysql:
        account = open_account(database)
        rights = account.rights_to(settings.ROSTER_TABLE, READ, list(columns))
        if rights.missing:
            yield _denied(account, settings.ROSTER_TABLE)
            return None
    entries = DatabaseRoster(settings, database).active()
    yield ROSTER.ok("table", f"{settings.ROSTER_TABLE} ({', '.join(columns)})")
    if not entries:
        yield database.transaction(lambda connection: _no_active_rows(connection, settings), retry=False)
    return entries


def _denied(account: Account, table: str) -> Finding:
    advice = f"Revise ROSTER_TABLE en .env o, si está bien, pida:\n{account.grant(READ, table)}"
    return ROSTER.broken("table", f"el usuario no puede leer la tabla {table}, o no existe", advice)


def _no_active_rows(connection: Connection, settings: Settings) -> Finding:
    """Report the values that the status column has instead of the active one."""
    status, table = (_quoted(name, connection) for name in (settings.ROSTER_STATUS_COLUMN, settings.ROSTER_TABLE))
    sql = f"SELECT {status}, COUNT(*) FROM {table} GROUP BY {status} ORDER BY COUNT(*) DESC LIMIT {SHOWN}"  # noqa: S608  # quoted names from the settings
    values = ", ".join(f"«{value}» ({number})" for value, number in connection.exec_driver_sql(sql))
    column, active = settings.ROSTER_STATUS_COLUMN, settings.ROSTER_ACTIVE_VALUE
    advice = "Corrija ROSTER_ACTIVE_VALUE o ROSTER_STATUS_COLUMN en .env."
    if not values:
        advice = "Compruebe que ROSTER_TABLE sea la tabla correcta y que tenga personas."
    message = f"nadie tiene {column} = {active}. Valores que hay: {values or 'ninguno, la tabla está vacía'}"
    return ROSTER.broken("active", message, advice)


def check_entries(entries: Sequence[RosterEntry], base_url: str, shape: Shape | None) -> Iterator[Finding]:
    """Count the entries, and report those that will fail for what the roster holds or do not fit into the gallery."""
    if not entries:
        return
    yield ROSTER.ok("active", inflect(len(entries), PEOPLE))
    for kind, (name, words) in ROSTER_ERRORS.items():
        ids = [entry.crew_id for entry in entries if isinstance(entry, Failed) and entry.code == kind.code]
        if ids:
            message = f"{inflect(len(ids), PEOPLE)} {words}: {say_some(ids, SHOWN)}"
            # A roster always has members without a photo, and HR's page lists them: a warning would come every week.
            yield ROSTER.ok(name, message) if kind is NoPhoto else ROSTER.warning(name, message, kind.advice)
    members = [entry for entry in entries if isinstance(entry, CrewMember)]
    urls = dict(_urls(members, base_url))
    bad = [member.crew_id for member in members if member.crew_id not in urls]
    if bad:
        message = (
            f"{inflect(len(bad), PEOPLE)} con nombre de archivo o identificador no permitido: {say_some(bad, SHOWN)}"
        )
        yield ROSTER.warning("bad_names", message, BadName.advice)
    if shape is not None:
        yield from _check_lengths(urls, shape)


def _urls(members: Sequence[CrewMember], base_url: str) -> Iterator[tuple[str, str]]:
    for member in members:
        with suppress(BadName):
            yield member.crew_id, photo_url(base_url, member)


def _check_lengths(urls: dict[str, str], shape: Shape) -> Iterator[Finding]:
    """Check whether ids and URLs (`urls` has these by id) fit into the columns of the gallery."""
    columns = (
        ("id_length", "crew_id", shape.id_characters, {crew_id: crew_id for crew_id in urls}),
        ("url_length", "imagen_path", shape.url_characters, urls),
    )
    for name, column, room, values in columns:
        longest = max(map(len, values.values()), default=0)
        if room is None or longest <= room:
            continue
        ids = [crew_id for crew_id, value in values.items() if len(value) > room]
        short_for = f"{inflect(len(ids), PEOPLE)}: {say_some(ids, SHOWN)}"
        message = f"{TABLE}.{column} admite {inflect(room, CHARACTERS)} y no basta para {short_for}"
        charset = f" CHARACTER SET {shape.charset} COLLATE {shape.collation}" if shape.charset else ""
        kind = f"VARCHAR({longest}){charset} NOT NULL" if column == "crew_id" else f"VARCHAR({longest})"
        larger = f"{ASK_ADMINISTRATOR}\nALTER TABLE {TABLE} MODIFY {column} {kind};"
        yield ROSTER.warning(name, message, larger if shape.changeable else SHORTEN[name])
    longest = max(map(len, urls), default=0)
    if shape.id_characters is None or longest <= shape.id_characters:
        yield ROSTER.ok("id_length", f"el más largo tiene {inflect(longest, CHARACTERS)}")


def check_ids(database: Database, settings: Settings, shape: Shape, longest: int) -> Iterator[Finding]:
    """Check in MySQL whether the gallery's character set can hold the ids and its collation tells them apart.

    `longest` is the length of the longest id.
    """
    columns = (settings.ROSTER_ID_COLUMN, settings.ROSTER_TABLE, settings.ROSTER_STATUS_COLUMN)
    crew_id, table, status = (_quoted(name, database) for name in columns)
    crew_id, active = f"TRIM({crew_id})", f"FROM {table} WHERE {status} = %s"
    stored, exact = f"CONVERT({crew_id} USING {shape.charset})", f"CAST({crew_id} AS BINARY)"
    # The id as the gallery would return it and as the roster has it, both as bytes of the same encoding.
    returned, original = (f"CAST(CONVERT({value} USING utf8mb4) AS BINARY)" for value in (stored, crew_id))
    lost = f"SELECT DISTINCT {crew_id} {active} AND {returned} <> {original} LIMIT {SHOWN}"
    equal = (
        f"SELECT GROUP_CONCAT(DISTINCT {exact} SEPARATOR '=') {active} "
        f"GROUP BY {stored} COLLATE {shape.collation} HAVING COUNT(DISTINCT {exact}) > 1 LIMIT {SHOWN}"
    )

    def query(sql: str) -> list[str]:
        values = (settings.ROSTER_ACTIVE_VALUE,)
        rows = database.transaction(lambda connection: connection.exec_driver_sql(sql, values).all(), retry=False)
        return [row[0].decode() if isinstance(row[0], bytes) else str(row[0]) for row in rows]

    room = max(longest, shape.id_characters or longest)
    lost_ids = query(lost)
    if lost_ids:
        message = f"crew_id es {shape.charset} y no puede guardar: {', '.join(lost_ids)}"
        yield ROSTER.warning("charset", message, _binary_ids(room))
    equal_ids = query(equal)
    if equal_ids:
        message = f"con {shape.collation} la base toma por iguales: {', '.join(equal_ids)}"
        yield ROSTER.warning("equal_ids", message, _binary_ids(room))
    elif not lost_ids:
        yield ROSTER.ok("equal_ids", f"la base distingue todos los identificadores ({shape.collation})")


def _binary_ids(room: int) -> str:
    """Return the advice to compare ids byte by byte."""
    return (
        "Corrija los identificadores en el padrón, o pida a quien administra la base, si ya existe la tabla:\n"
        f"ALTER TABLE {TABLE} MODIFY crew_id VARCHAR({room}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;"
    )


def _quoted(name: str, target: Connection | Database) -> str:
    """Quote a name from the settings; MySQL's drivers also want its % doubled."""
    engine = target.engine
    quoted = str(engine.dialect.identifier_preparer.quote_identifier(name))
    return quoted.replace("%", "%%") if engine.dialect.name != "sqlite" else quoted
