"""`--operating-point`: measure on the gallery's own people what each threshold costs, and advise one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from app.cli.document import answer, answer_ending
from app.cli.people import People, ask_about, gallery_lines, open_people, say_interrupted, service_threshold, show_page
from app.cli.settings import open_logs, read_settings
from app.core.config import Settings
from app.core.signals import stopping_on_signals
from app.core.text import printable
from app.errors import EXIT_BY_SIGNAL, EXIT_OK, EXIT_SOME_FAILED, EmptyGallery, SettingsError
from app.gallery.templates import Templates
from app.pipeline.face_loading import LoadFaces
from app.pipeline.probe_photos import ProbePhoto, list_labelled
from app.recognition.audit import audit_gallery
from app.recognition.distances import Floats, UnitTemplates
from app.recognition.genuine import STRANGER, Probes, rate_probes
from app.recognition.operating_point import find_operating_point
from app.recognition.scan import scan_gallery
from app.reports.console import fitting_width
from app.reports.operating_point_page import render_operating_point
from app.reports.operating_point_report import (
    Measured,
    NotUsed,
    ProbeReport,
    advised_threshold,
    curve_up_to,
    operating_point_document,
    operating_point_lines,
)
from app.roster.folder import say_passed_over, unreadable

PAGE = "operating_point.html"
USUAL_WISH = 0.01
ROWS = tuple(round(0.20 + 0.05 * step, 2) for step in range(7))  # thresholds that are always shown
FEWEST = 2
ADVICE = "Indique en --probes una carpeta con DIR/<crew_id>/<foto>."


def run(options: argparse.Namespace, console: Console, load_faces: LoadFaces | None) -> int:
    """Show the error rates of the gallery at several thresholds, and the advised one. Raises RunError."""
    settings = read_settings(options)
    open_logs(options, settings)
    labelled, unread = _list_probes(console, options.probes) if options.probes else ([], [])
    people = open_people(options, settings)
    console.print("\n".join(gallery_lines(people.templates, settings)))
    with stopping_on_signals() as stopper:
        names = [name for _, name in labelled]
        asked = ask_about(settings, people, names, load_faces, stopper.event) if names else []
    if stopper.signal_number is not None:  # rates of some of the photos would pass for those of all
        sentence = say_interrupted(len(asked), len(names))
        console.print(f"⚠️  {sentence}")
        answer_ending(options, console, sentence, EXIT_BY_SIGNAL + stopper.signal_number)
        return EXIT_BY_SIGNAL + stopper.signal_number
    photos = [*((label, photo) for (label, _), photo in zip(labelled, asked, strict=True)), *unread]
    measured = _measure(settings, people, options, photos)  # with nothing to put in order when it is interrupted
    console.print("\n".join(operating_point_lines(measured, fitting_width(console))))
    show_page(console, settings, render_operating_point(measured), PAGE)
    if options.json:
        answer(options, console, operating_point_document(measured))
    return EXIT_SOME_FAILED if any(photo.error for _, photo in photos) else EXIT_OK


def _list_probes(console: Console, folder: Path) -> tuple[list[tuple[str, str]], list[tuple[str, ProbePhoto]]]:
    """Return the photos with the names of their folders, which are crew ids or strangers' names, and likewise what
    cannot be read; print what is none. Raises SettingsError."""
    try:
        found, passed_over = list_labelled(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SettingsError(f"No existe la carpeta {folder}", ADVICE) from error
    except OSError as error:
        raise unreadable(folder, error, "--probes") from error
    passed_over += [name for photos in found.values() for name in photos.passed_over]
    if passed_over:
        console.print(printable(say_passed_over(passed_over)))
    labelled = [(label, name) for label, photos in found.items() for name in photos.names]
    unread = [(label, photo) for label, photos in found.items() for photo in photos.failed]
    if not labelled and not unread:
        raise SettingsError(f"No hay fotos en carpetas dentro de {folder}", ADVICE)
    return labelled, unread


def _measure(
    settings: Settings, people: People, options: argparse.Namespace, photos: list[tuple[str, ProbePhoto]]
) -> Measured:
    templates, threshold = people.templates, service_threshold(settings)
    gallery = UnitTemplates.of(templates.vectors)
    if len(gallery) < FEWEST:
        raise EmptyGallery("Con una sola persona no hay con quién comparar", "Registre al menos a dos personas.")
    rows = sorted({*ROWS, threshold})
    scan = scan_gallery(gallery, threshold, sorted({*rows, *curve_up_to(rows[-1]).tolist()}))
    audit = audit_gallery(gallery, scan, templates.sha256s, threshold, people.read_pictures)
    duplicates = list(audit.duplicates())
    if len(gallery) - len({other for _, other in duplicates}) < FEWEST:
        raise EmptyGallery("Todas las personas tienen la misma foto", "Vea --audit y corrija antes las fotos.")
    target = options.target_fpir or USUAL_WISH
    point = find_operating_point(scan, gallery, rows, target, options.people, duplicates)
    advised = advised_threshold(point, threshold)
    thresholds = sorted({*scan.grid.tolist(), *filter(None, [advised])})
    return Measured(
        point=point,
        threshold=threshold,
        least_confidence=settings.FACE_CONFIDENCE_THRESHOLD,
        model=settings.FACE_MODEL,
        advised=advised,
        curve=curve_up_to(max(rows[-1], advised or 0)),  # pairs are known up to an advised threshold
        probes=_rate_probes(people.templates, point.set_aside, photos, np.array(thresholds)) if photos else None,
    )


def _rate_probes(
    templates: Templates, set_aside: Sequence[int], photos: list[tuple[str, ProbePhoto]], thresholds: Floats
) -> ProbeReport:
    """Search the largest face of each photo among those who were not set aside. Photos of those who were do not count:
    whose the picture is that they share cannot be known."""
    gallery = UnitTemplates.of(np.delete(templates.vectors, set_aside, axis=0))
    kept = np.delete(np.arange(len(templates.crew_ids)), set_aside)
    place_of = {templates.crew_ids[row]: place for place, row in enumerate(kept)}
    aside = {templates.crew_ids[place] for place in set_aside}
    usable = [(label, photo) for label, photo in photos if photo.faces and label not in aside]
    not_used = tuple(NotUsed(label, photo) for label, photo in photos if not photo.faces or label in aside)
    if not usable:
        return ProbeReport(None, (), (), not_used)
    labels = [label for label, _ in usable]
    vectors = UnitTemplates.of(np.stack([photo.faces[0].vector for _, photo in usable]))
    probes = Probes.of(vectors, [place_of.get(label, STRANGER) for label in labels], labels)
    genuine = rate_probes(probes, gallery, thresholds)
    return ProbeReport(genuine, tuple(labels), tuple(photo.name for _, photo in usable), not_used)
