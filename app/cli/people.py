"""What a question to the gallery begins with: the templates of the members whom the roster has as active."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

from rich.console import Console

from app.core.clock import utc_now
from app.core.config import Settings
from app.core.database import Database
from app.core.files import why, write_private
from app.core.spanish import inflect, say_some
from app.core.text import printable, printable_lines
from app.errors import EmptyGallery, RunError
from app.faces.embedding_spec import describe_spec
from app.faces.weights import open_weights
from app.gallery.embeddings_table import find_table
from app.gallery.gallery import Gallery, open_for_reading
from app.gallery.obstacles import require_readable
from app.gallery.provenance import known_spec
from app.gallery.templates import Templates, read_templates
from app.pipeline.face_extractor import open_face_extractor
from app.pipeline.face_loading import LoadFaces
from app.pipeline.face_pictures import fetch_faces
from app.pipeline.probe_photos import ProbePhoto, read_probes
from app.recognition.distances import last_distance
from app.recognition.match import accepted_distance
from app.records import CrewMember, Picture
from app.roster.database import DatabaseRoster
from app.roster.folder import FolderRoster

SHOWN_IDS = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class People:
    """The gallery, opened for reading, its templates, and the members by crew id, as the recognition service sees
    them: the service takes no account of rows whose member is not active in the roster."""

    gallery: Gallery
    templates: Templates
    members: Mapping[str, CrewMember]

    def name_of(self, crew_id: str) -> str:
        """Return the member's full name; the id where the roster has none."""
        return self.members[crew_id].full_name or crew_id

    def read_pictures(self, places: Collection[int]) -> dict[int, Picture]:
        """Read the recorded pictures of these members (by place in the templates). Raises DatabaseUnavailable."""
        place_of = {self.templates.row_ids[place]: place for place in places}
        found = self.gallery.provenance.pictures(list(place_of))
        return {place_of[row_id]: picture for row_id, picture in found.items()}

    def fetch_pictures(
        self, settings: Settings, crew_ids: Collection[str], console: Console, stop: threading.Event
    ) -> dict[str, bytes]:
        """Fetch the faces of these members for a page, by crew id, and print how many could not be had. That undoes no
        answer, whatever the reason."""
        if not crew_ids or stop.is_set():
            return {}
        console.print(f"Descargando {inflect(len(crew_ids), '# foto[s]')} para la página…")
        try:
            seen = self.gallery.photo_records.illustrations(crew_ids)
            sha256s = dict(zip(self.templates.crew_ids, self.templates.sha256s, strict=True))
            members = [self.members[crew_id] for crew_id in sorted(crew_ids)]
            fetched = fetch_faces(settings, members, sha256s, seen, stop)
        except RunError as error:
            console.print(printable_lines(f"⚠️  La página sale sin imágenes: {error}"))
            return {}
        if fetched.missing:
            console.print(f"⚠️  {_say_missing(fetched.missing, len(crew_ids))}")
        return fetched.pictures


def _say_missing(missing: int, wanted: int) -> str:
    if missing == wanted > 1:
        return f"No se pudo descargar ninguna de las {wanted} fotos: salen sin imagen"
    of_all = inflect(wanted, "# foto[s]")
    return inflect(missing, f"No se [pudo|pudieron] descargar # de {of_all}: sale[n] sin imagen")


def open_people(options: argparse.Namespace, settings: Settings) -> People:
    """Read the templates and who they are of; creates nothing. Raises EmptyGallery, DatabaseUnavailable, OSError."""
    database = Database(settings)
    if not options.photos:
        database.require_file()  # it would hold the roster
    # Weights that are not downloaded yet have no digest: then the spec that was used last is the gallery's.
    spec = known_spec(database, describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, open_weights(settings)))
    table = find_table(database)
    if table is not None:
        require_readable(database, table)
    gallery = open_for_reading(database, table, spec, utc_now())
    roster = FolderRoster(options.photos) if options.photos else DatabaseRoster(settings, database)
    entries = (entry.member if not isinstance(entry, CrewMember) else entry for entry in roster.active())
    members = {member.crew_id: member for member in entries}
    templates = read_templates(gallery, members)
    if not templates.crew_ids:
        raise EmptyGallery(
            f"La galería no tiene ningún vector de {settings.FACE_MODEL} de personas activas",
            "Ejecute primero el programa sin opciones, o revise FACE_MODEL y ROSTER_TABLE en .env.",
        )
    return People(gallery, templates, members)


def ask_about(
    settings: Settings, people: People, names: Iterable[str], load_faces: LoadFaces | None, stop: threading.Event
) -> list[ProbePhoto]:
    """Read photos with the nets that made the gallery. Raises VectorsChanged if they compute other vectors by now, and
    any other RunError."""
    with closing((load_faces or open_face_extractor)(settings, None, stop)) as extractor:
        people.gallery.golden_vector.compare(extractor.golden_vector())
        return read_probes(settings, extractor, names, stop)


def say_interrupted(read: int, given: int) -> str:
    """Return how many of the photos were looked at before a signal, each perhaps without an answer of its server."""
    return f"Interrumpido: se miraron {read} de {inflect(given, '# foto[s]')}"


def service_threshold(settings: Settings) -> float:
    """Return the largest distance at which the recognition service knows somebody again, by its two settings."""
    return accepted_distance(settings.FACE_DISTANCE_THRESHOLD, settings.FACE_CONFIDENCE_THRESHOLD)


def gallery_lines(templates: Templates, settings: Settings) -> list[str]:
    """Return what takes part in a comparison, what was left out of it, and a setting that another one overrules."""
    lines = [f"👥 {inflect(len(templates.crew_ids), '# persona[s]')} en la galería ({settings.FACE_MODEL})"]
    if templates.foreign:
        lines.append("   " + inflect(templates.foreign, "# vector[es] [es|son] de otro programa y cuenta[n] igual"))
    if templates.incompatible:
        left = inflect(templates.incompatible, "# fila[s] activa[s] de otro modelo u otros pesos")
        lines.append(f"⚠️  {left}: no se comparan. Una ejecución normal las hace de nuevo.")
    if templates.unreadable:
        who = printable(say_some(templates.unreadable, SHOWN_IDS))
        lines.append(f"⚠️  Sin un vector legible: {who}. Vuelva a ejecutar con --crew-id para cada una.")
    if templates.several:
        who = printable(say_some(templates.several, SHOWN_IDS))
        several = inflect(len(templates.several), "# persona[s] con varias filas activas")
        lines.append(f"⚠️  {several} ({who}): aquí cuenta la más nueva. Una ejecución normal deja una.")
    threshold = service_threshold(settings)
    if threshold < last_distance(settings.FACE_DISTANCE_THRESHOLD):
        set_distance, confidence = settings.FACE_DISTANCE_THRESHOLD, settings.FACE_CONFIDENCE_THRESHOLD
        lines.append(
            f"⚠️  FACE_CONFIDENCE_THRESHOLD={confidence:g} solo admite distancias de hasta {threshold:g}: "
            f"FACE_DISTANCE_THRESHOLD={set_distance:g} admitiría más y no llega a contar."
        )
    return lines


def show_page(console: Console, settings: Settings, content: str, name: str) -> None:
    """Write a page beside the other reports and print where it is. That it cannot be written undoes no answer."""
    path = settings.LOG_DIR / name
    try:
        write_private(path, content.encode("utf-8", "replace"))
    except OSError as error:
        log.error("No se pudo escribir la página", exc_info=True)
        console.print(printable_lines(f"⚠️  No se pudo escribir la página en {settings.LOG_DIR}: {why(error)}"))
        return
    console.print(printable_lines(f"📄 La página: {path}"))
