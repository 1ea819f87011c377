"""Check the roster: how many members it has, which of them will fail, and whether their ids fit into the gallery."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Select, select, text

from app.checkup.check_tables import READ, Account, Shape
from app.checkup.finding import ROSTER, Finding
from app.core.account_limits import Limit, read_limits
from app.core.config import Settings
from app.core.database import Database
from app.core.spanish import inflect, say_some
from app.errors import BadName, DuplicateMember, NoPhoto, SeveralPhotos
from app.gallery.tables import TABLE
from app.photos.urls import photo_url
from app.planning.survey import RosterEntry
from app.records import CrewMember, Failed
from app.roster.database import COLUMN_SETTINGS, DatabaseRoster
from app.roster.folder import FolderRoster, say_passed_over

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


def check_roster(
    settings: Settings, folder: FolderRoster | None, database: Database | None, shape: Shape | None
) -> Generator[Finding, None, list[RosterEntry] | None]:
    """Check the roster, in the photo folder if there is one, and return its active entries; None if it cannot be read.

    Raises RunError.
    """
    if folder is not None:
        entries: list[RosterEntry] | None = folder.active()
        if folder.passed_over:
            yield ROSTER.ok("passed_over", say_passed_over(folder.passed_over))
    elif database is None:
        yield ROSTER.unchecked("hace falta llegar antes a la base")
        return None
    else:
        entries = yield from _read_table(settings, database)
    yield from check_entries(entries or [], settings.IMAGE_BASE_URL, shape)
    if entries and database is not None:
        yield from judge_allowance(database.transaction(read_limits, retry=False), len(entries))
    if entries and folder is None and database is not None and shape is not None and shape.collation:
        longest = max(len(entry.crew_id) for entry in entries)
        yield from _check_ids(database, settings, shape, max(longest, shape.id_characters or longest))
    return entries


def _read_table(settings: Settings, database: Database) -> Generator[Finding, None, list[RosterEntry] | None]:
    name = settings.ROSTER_TABLE
    columns = list(dict.fromkeys(getattr(settings, setting) for setting in COLUMN_SETTINGS))
    if database.is_mysql:
        account = Account(database)
        missing = account.rights_to(name, READ, columns).missing
        if missing:
            advice = f"Revise ROSTER_TABLE en .env o, si está bien, pida:\n{account.grant(missing, name)}"
            yield ROSTER.broken("table", f"el usuario no puede leer la tabla {name}, o no existe", advice)
            return None
    roster = DatabaseRoster(settings, database)
    entries = roster.active()
    yield ROSTER.ok("table", f"{name} ({', '.join(columns)})")
    if not entries:
        yield _judge_no_active_row(settings, roster)
    return entries


def judge_allowance(limits: Sequence[Limit], members: int) -> Iterator[Finding]:
    """Report the limit of the account that a run for all members would not keep within."""
    short = [limit for limit in limits if not limit.is_too_small and limit.value < limit.needed(members)]
    for limit in short:
        message = f"la cuenta admite {limit}: unas {limit.members} personas nuevas por ejecución, de {members} activas"
        advice = (
            "La ejecución termina en orden cuando se acaba, y la siguiente continúa. Para todas de una vez, pida a "
            f"quien administra la base {limit.name} {limit.needed(members)}."
        )
        yield ROSTER.warning("allowance", message, advice)


def _judge_no_active_row(settings: Settings, roster: DatabaseRoster) -> Finding:
    """Report the values that the status column has instead of the active one."""
    values = ", ".join(f"«{value}» ({number})" for value, number in roster.count_statuses(SHOWN))
    advice = "Corrija ROSTER_ACTIVE_VALUE o ROSTER_STATUS_COLUMN en .env."
    if not values:
        advice = "Compruebe que ROSTER_TABLE sea la tabla correcta y que tenga personas."
    message = f"nadie tiene {settings.ROSTER_STATUS_COLUMN} = {settings.ROSTER_ACTIVE_VALUE}."
    found = f"Valores que hay: {values or 'ninguno, la tabla está vacía'}"
    return ROSTER.broken("active", f"{message} {found}", advice)


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
    urls = photo_urls(members, base_url)
    bad = [member.crew_id for member in members if member.crew_id not in urls]
    if bad:
        words = "con nombre de archivo o identificador no permitido"
        yield ROSTER.warning(
            "bad_names", f"{inflect(len(bad), PEOPLE)} {words}: {say_some(bad, SHOWN)}", BadName.advice
        )
    if shape is not None:
        yield from _check_kind(urls, shape)
        yield from _check_lengths(urls, shape)


def photo_urls(members: Sequence[CrewMember], base_url: str) -> dict[str, str]:
    """Return the photos' URLs by crew id, without those of members whose id or photo name makes none."""
    urls = {}
    for member in members:
        with suppress(BadName):
            urls[member.crew_id] = photo_url(base_url, member)
    return urls


def _check_kind(crew_ids: Iterable[str], shape: Shape) -> Iterator[Finding]:
    """Check whether the gallery's column would show these ids again as they are."""
    changed = [crew_id for crew_id in crew_ids if shape.ids is not None and not shape.ids.keeps(crew_id)]
    if shape.ids is not None and changed:
        message = f"{TABLE}.crew_id es {shape.ids.stored} y no guarda tal cual los identificadores de "
        advice = (
            "Pida a quien administra la base, y que escriba en las filas que hay los identificadores del padrón:\n"
            f"ALTER TABLE {TABLE} MODIFY crew_id VARCHAR({max(map(len, changed))}) NOT NULL;"
        )
        yield ROSTER.warning("id_kind", f"{message}{inflect(len(changed), PEOPLE)}: {say_some(changed, SHOWN)}", advice)


def _check_lengths(urls: dict[str, str], shape: Shape) -> Iterator[Finding]:
    """Check whether ids and URLs (`urls` has these by id) fit into the columns of the gallery."""
    charset = f" CHARACTER SET {shape.charset} COLLATE {shape.collation}" if shape.charset else ""
    longest = max(map(len, urls), default=0)
    columns = (
        ("id_length", "crew_id", f"{charset} NOT NULL", shape.id_characters, {crew_id: crew_id for crew_id in urls}),
        ("url_length", "imagen_path", "", shape.url_characters, urls),
    )
    for name, of_gallery, ending, room, values in columns:
        ids = [crew_id for crew_id, value in values.items() if room is not None and len(value) > room]
        if room is None or not ids:
            continue
        short_for = f"{inflect(len(ids), PEOPLE)}: {say_some(ids, SHOWN)}"
        message = f"{TABLE}.{of_gallery} admite {inflect(room, CHARACTERS)} y no basta para {short_for}"
        larger = f"ALTER TABLE {TABLE} MODIFY {of_gallery} VARCHAR({max(map(len, values.values()))}){ending};"
        advice = f"Pida a quien administra la base, si ya existe la tabla:\n{larger}"
        yield ROSTER.warning(name, message, advice if shape.changeable else SHORTEN[name])
    if shape.id_characters is None or longest <= shape.id_characters:
        yield ROSTER.ok("id_length", f"el más largo tiene {inflect(longest, CHARACTERS)}")


def _check_ids(database: Database, settings: Settings, shape: Shape, room: int) -> Iterator[Finding]:
    """Check in MySQL whether the gallery's character set can hold the ids and its collation tells them apart.

    The advice is for a column of `room` characters.
    """
    roster = DatabaseRoster(settings, database)
    crew_id, exact = "ids.crew_id", "CAST(ids.crew_id AS BINARY)"
    stored = f"CONVERT({crew_id} USING {shape.charset})"
    # The id as the gallery would return it and as the roster has it, both as bytes of the same encoding.
    returned, original = (f"CAST(CONVERT({value} USING utf8mb4) AS BINARY)" for value in (stored, crew_id))

    def ask(query: Select[Any]) -> str:
        def read(connection: Connection) -> list[bytes | str]:
            ids = roster.active_ids(connection).subquery("ids")
            return list(connection.execute(query.select_from(ids).limit(SHOWN)).scalars())

        found = database.transaction(read, retry=False)
        return ", ".join(each.decode() if isinstance(each, bytes) else each for each in found)

    lost_ids = ask(select(text(crew_id)).distinct().where(text(f"{returned} <> {original}")))
    equal = select(text(f"GROUP_CONCAT(DISTINCT {exact} SEPARATOR '=')"))
    by_collation = text(f"{stored} COLLATE {shape.collation}")
    equal_ids = ask(equal.group_by(by_collation).having(text(f"COUNT(DISTINCT {exact}) > 1")))
    advice = (
        "Corrija los identificadores en el padrón, o pida a quien administra la base, si ya existe la tabla:\n"
        f"ALTER TABLE {TABLE} MODIFY crew_id VARCHAR({room}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;"
    )
    if lost_ids:
        yield ROSTER.warning("charset", f"crew_id es {shape.charset} y no puede guardar: {lost_ids}", advice)
    if equal_ids:
        yield ROSTER.warning("equal_ids", f"con {shape.collation} la base toma por iguales: {equal_ids}", advice)
    elif not lost_ids:
        yield ROSTER.ok("equal_ids", f"la base distingue todos los identificadores ({shape.collation})")
