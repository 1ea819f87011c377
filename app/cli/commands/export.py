"""`--export`: hand the gallery over to another service, as a file that it reads without this program."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from app.cli.document import answer
from app.cli.people import People, gallery_lines, open_people
from app.cli.settings import read_settings
from app.core.config import Settings
from app.core.files import cannot_write
from app.core.spanish import inflect
from app.core.text import as_utf8, printable
from app.errors import EXIT_OK, NotWritable, SettingsError
from app.recognition.export.contents import Contents, Threshold
from app.recognition.export.formats import Format, format_of, name_for_deepface
from app.recognition.export.publication import Publication, manifest_of, publish

SHOWN_DIGITS = 12
BYTES_PER_MB = 1_000_000


def run(options: argparse.Namespace, console: Console, _load_faces: object) -> int:
    """Write the file and its manifest, and print what they hold and what was left out. Raises RunError; then the files
    of the export before are as they were."""
    target = Path(options.export)
    kind = format_of(target)
    if target.exists() and not target.is_file():
        raise SettingsError(f"No se puede escribir en {target}: no es un archivo", "Indique en --export un archivo.")
    settings = read_settings(options)
    people = open_people(options, settings)
    published = _publish(target, kind, contents_of(people, settings))
    left_out = people.templates.incompatible or people.templates.unreadable or people.templates.several
    console.quiet = options.quiet and not left_out
    console.print("\n".join(map(printable, _lines(target, people, published, settings))))
    if options.json:
        answer(options, console, {"export": export_document(target, people, published)})
    return EXIT_OK


def contents_of(people: People, settings: Settings) -> Contents:
    """Return what is handed over of these people, with the threshold that the settings have for the service."""
    chosen = "FACE_DISTANCE_THRESHOLD" in settings.model_fields_set
    return Contents(
        templates=people.templates,
        names=tuple(people.members[crew_id].full_name for crew_id in people.templates.crew_ids),
        spec=people.gallery.spec,
        threshold=Threshold(
            distance=settings.FACE_DISTANCE_THRESHOLD,
            confidence=settings.FACE_CONFIDENCE_THRESHOLD,
            origin="setting" if chosen else "default",
        ),
    )


def export_document(target: Path, people: People, published: Publication) -> dict[str, Any]:
    """Return the document for `--json`. Its keys are stable."""
    templates = people.templates
    return {
        "target": as_utf8(str(target)),
        "manifest": as_utf8(str(manifest_of(target))),
        "file": as_utf8(published.file.name),
        "size_bytes": published.size_bytes,
        "sha256": published.sha256,
        "created": published.created,
        "unchanged": published.unchanged,
        "members": len(templates.crew_ids),
        "foreign": templates.foreign,
        "left_out": {
            "incompatible": templates.incompatible,
            "unreadable": [as_utf8(crew_id) for crew_id in templates.unreadable],
            "not_enrolled": count_not_enrolled(people),
            "several_active": [as_utf8(crew_id) for crew_id in templates.several],
        },
    }


def count_not_enrolled(people: People) -> int:
    """Count the active members of the roster who have no active vector of any kind."""
    templates = people.templates
    enrolled = len(templates.crew_ids) + len(templates.unreadable) + templates.incompatible
    return len(people.members) - enrolled


def _publish(target: Path, kind: Format, contents: Contents) -> Publication:
    description = kind.describe() | contents.describe()
    try:
        return publish(target, lambda file: kind.write(file, contents), description)
    except OSError as error:
        raise NotWritable(*cannot_write(target, error, "--export")) from error


def _lines(target: Path, people: People, published: Publication, settings: Settings) -> Iterator[str]:
    yield from gallery_lines(people.templates, settings)
    missing = count_not_enrolled(people)
    if missing:
        yield f"   {inflect(missing, '# persona[s] activa[s] no tiene[n] ningún vector')}: no van en el archivo"
    size = f"{published.size_bytes / BYTES_PER_MB:.1f} MB".replace(".", ",")
    yield f"📦 {target}: {size}, SHA-256 {published.sha256[:SHOWN_DIGITS]}…"
    yield f"   Lo describe {manifest_of(target)}; cómo se lee: docs/reconocimiento.md."
    if published.unchanged:
        yield f"   Nada cambió desde {published.created}: los archivos quedan como estaban."
    usual = name_for_deepface(settings.FACE_MODEL, settings.FACE_DETECTOR)
    if target.suffix == ".npz" and target.name != usual:
        yield f"⚠️  DeepFace.find solo lo encuentra con el nombre {usual}."
