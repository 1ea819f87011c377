"""The roster: who is in it comes in; how many, without what, and whether their ids fit into the gallery goes out."""

from __future__ import annotations

from collections import Counter
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
from app.gallery.embeddings_table import TABLE
from app.photos.source import photo_url
from app.pipeline.stages import build_roster
from app.planning.plan import Entry
from app.records import CrewMember, Failed

ASK = "Pida a quien administra la base, si ya existe la tabla:"
SHOWN = 5  # ids, or values of the status
SHORTEN = {
    "id_length": "Acorte esos identificadores, que son el nombre de su carpeta si las fotos están en una.",
    "url_length": "Acorte el nombre del archivo de esas fotos, o IMAGE_BASE_URL.",
}
# What the roster itself says against a member: the finding's name, and what is said.
AGAINST = {
    NoPhoto: ("no_photo", "sin foto registrada"),
    DuplicateMember: ("duplicate_ids", "con identificador repetido y fotos distintas"),
    SeveralPhotos: ("several_photos", "con varias fotos en su carpeta"),
}


def look_at_table(settings: Settings, database: Database) -> Generator[Finding, None, list[Entry] | None]:
    """The active members of the roster table; None when nobody may read it. Raises RunError."""
    columns = dict.fromkeys((settings.ROSTER_ID_COLUMN, settings.ROSTER_PHOTO_COLUMN, settings.ROSTER_NAMES_COLUMN))
    columns |= dict.fromkeys((settings.ROSTER_SURNAMES_COLUMN, settings.ROSTER_STATUS_COLUMN))
    if database.is_mysql:
        account = open_account(database)
        rights = account.rights_to(settings.ROSTER_TABLE, READ, list(columns))
        if rights.missing:
            yield _denied(account, settings.ROSTER_TABLE)
            return None
    entries = build_roster(settings, database).active()
    yield ROSTER.ok("table", f"{settings.ROSTER_TABLE} ({', '.join(columns)})")
    if not entries:
        yield database.transaction(lambda connection: _nobody(connection, settings), retry=False)
    return entries


def _denied(account: Account, table: str) -> Finding:
    advice = f"Revise ROSTER_TABLE en .env o, si está bien, pida:\n{account.grant(READ, table)}"
    return ROSTER.broken("table", f"el usuario no puede leer la tabla {table}, o no existe", advice)


def _nobody(connection: Connection, settings: Settings) -> Finding:
    """Which values the status has instead."""
    status, table = (_quoted(name, connection) for name in (settings.ROSTER_STATUS_COLUMN, settings.ROSTER_TABLE))
    sql = f"SELECT {status}, COUNT(*) FROM {table} GROUP BY {status} ORDER BY COUNT(*) DESC LIMIT {SHOWN}"  # noqa: S608  # names of the settings, quoted
    values = ", ".join(f"«{value}» ({number})" for value, number in connection.exec_driver_sql(sql))
    column, active = settings.ROSTER_STATUS_COLUMN, settings.ROSTER_ACTIVE_VALUE
    advice = "Corrija ROSTER_ACTIVE_VALUE o ROSTER_STATUS_COLUMN en .env."
    if not values:
        advice = "Compruebe que ROSTER_TABLE sea la tabla correcta y que tenga personas."
    text_ = f"nadie tiene {column} = {active}. Valores que hay: {values or 'ninguno, la tabla está vacía'}"
    return ROSTER.broken("active", text_, advice)


def look_at_people(entries: Sequence[Entry], base_url: str, shape: Shape | None) -> Iterator[Finding]:
    """How many there are, and who will end as an error for what the roster says."""
    if not entries:
        return
    yield ROSTER.ok("active", _people(len(entries)))
    codes = Counter(entry.code for entry in entries if isinstance(entry, Failed))
    for kind, (name, sentence) in AGAINST.items():
        if codes[kind.code]:
            whom = [entry.member.crew_id for entry in entries if isinstance(entry, Failed) and entry.code == kind.code]
            text = f"{_people(len(whom))} {sentence}: {_some(whom)}"
            # A roster always has some without a photo, and HR's page lists them: no reason for a mail every week.
            yield ROSTER.ok(name, text) if kind is NoPhoto else ROSTER.warning(name, text, kind.advice)
    members = [entry for entry in entries if isinstance(entry, CrewMember)]
    urls = dict(_urls(members, base_url))
    bad = [member.crew_id for member in members if member.crew_id not in urls]
    if bad:
        text_ = f"{_people(len(bad))} con nombre de archivo o identificador no permitido: {_some(bad)}"
        yield ROSTER.warning("bad_names", text_, BadName.advice)
    if shape is not None:
        yield from _fit(urls, shape)


def _urls(members: Sequence[CrewMember], base_url: str) -> Iterator[tuple[str, str]]:
    for member in members:
        with suppress(BadName):
            yield member.crew_id, photo_url(base_url, member)


def _fit(urls: dict[str, str], shape: Shape) -> Iterator[Finding]:
    """Whether ids and addresses fit into the columns of the gallery."""
    columns = (
        ("id_length", "crew_id", shape.id_characters, {crew_id: crew_id for crew_id in urls}),
        ("url_length", "imagen_path", shape.url_characters, urls),
    )
    for name, column, room, values in columns:
        longest = max(map(len, values.values()), default=0)
        if room is None or longest <= room:
            continue
        whom = [crew_id for crew_id, value in values.items() if len(value) > room]
        text_ = f"{TABLE}.{column} admite {_characters(room)} y no basta para {_people(len(whom))}: {_some(whom)}"
        ids = f" CHARACTER SET {shape.charset} COLLATE {shape.collation}" if shape.charset else ""
        kind = f"VARCHAR({longest}){ids} NOT NULL" if column == "crew_id" else f"VARCHAR({longest})"
        larger = f"{ASK}\nALTER TABLE {TABLE} MODIFY {column} {kind};"
        yield ROSTER.warning(name, text_, larger if shape.changeable else SHORTEN[name])
    longest = max(map(len, urls), default=0)
    if shape.id_characters is None or longest <= shape.id_characters:
        yield ROSTER.ok("id_length", f"el más largo tiene {_characters(longest)}")


def look_at_ids(database: Database, settings: Settings, shape: Shape, longest: int) -> Iterator[Finding]:
    """In MySQL: whether the gallery's collation tells the ids apart, and its character set can hold them."""
    columns = (settings.ROSTER_ID_COLUMN, settings.ROSTER_TABLE, settings.ROSTER_STATUS_COLUMN)
    crew_id, table, status = (_quoted(name, database) for name in columns)
    crew_id, active = f"TRIM({crew_id})", f"FROM {table} WHERE {status} = %s"
    kept, exactly = f"CONVERT({crew_id} USING {shape.charset})", f"CAST({crew_id} AS BINARY)"
    # What comes back from the gallery's characters, and what went in, each as bytes of the same encoding.
    back, given = (f"CAST(CONVERT({value} USING utf8mb4) AS BINARY)" for value in (kept, crew_id))
    lost = f"SELECT DISTINCT {crew_id} {active} AND {back} <> {given} LIMIT {SHOWN}"
    alike = (
        f"SELECT GROUP_CONCAT(DISTINCT {exactly} SEPARATOR '=') {active} "
        f"GROUP BY {kept} COLLATE {shape.collation} HAVING COUNT(DISTINCT {exactly}) > 1 LIMIT {SHOWN}"
    )

    def ask(sql: str) -> list[str]:
        values = (settings.ROSTER_ACTIVE_VALUE,)
        rows = database.transaction(lambda connection: connection.exec_driver_sql(sql, values).all(), retry=False)
        return [row[0].decode() if isinstance(row[0], bytes) else str(row[0]) for row in rows]

    room = max(longest, shape.id_characters or longest)
    unkept = ask(lost)
    if unkept:
        text_ = f"crew_id es {shape.charset} y no puede guardar: {', '.join(unkept)}"
        yield ROSTER.warning("charset", text_, _bytewise(room))
    same = ask(alike)
    if same:
        text_ = f"con {shape.collation} la base toma por iguales: {', '.join(same)}"
        yield ROSTER.warning("equal_ids", text_, _bytewise(room))
    elif not unkept:
        yield ROSTER.ok("equal_ids", f"la base distingue todos los identificadores ({shape.collation})")


def _bytewise(room: int) -> str:
    return (
        "Corrija los identificadores en el padrón, o pida a quien administra la base, si ya existe la tabla:\n"
        f"ALTER TABLE {TABLE} MODIFY crew_id VARCHAR({room}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;"
    )


def _quoted(name: str, where: Connection | Database) -> str:
    """A name of the settings, as the drivers take it."""
    engine = where.engine
    quoted = str(engine.dialect.identifier_preparer.quote_identifier(name))
    return quoted.replace("%", "%%") if engine.dialect.name != "sqlite" else quoted


def _people(number: int) -> str:
    return inflect(number, "# persona[s] activa[s]")


def _characters(number: int) -> str:
    return inflect(number, "# [carácter|caracteres]")


def _some(ids: Sequence[str]) -> str:
    return say_some(ids, SHOWN)
