"""`--audit`: compare everyone in the gallery with everyone, for people to look at who is too near to whom."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from app.cli.document import answer
from app.cli.people import People, gallery_lines, open_people, service_threshold, show_page
from app.cli.settings import open_logs, read_settings
from app.core.clock import utc_now
from app.core.config import Settings
from app.core.signals import stopping_on_signals
from app.core.text import printable
from app.errors import EXIT_BY_SIGNAL, EXIT_OK, EXIT_SOME_FAILED, MemberNotProcessable
from app.gallery.accepted_pairs import accept, read_accepted
from app.recognition.audit import Audit, audit_gallery
from app.recognition.distances import UnitTemplates
from app.recognition.scan import scan_gallery
from app.reports.audit_report import AuditReport, audit_document, audit_lines, audit_page, places_to_show
from app.reports.console import fitting_width
from app.reports.faces_page import render_faces

PAGE = "audit.html"


def run(options: argparse.Namespace, console: Console, _load_faces: object) -> int:
    """Show what the audit found. Raises RunError."""
    settings = read_settings(options)
    open_logs(options, settings)
    people = open_people(options, settings)
    console.print("\n".join(gallery_lines(people.templates, settings)))
    crew_ids = people.templates.crew_ids
    if options.accept:
        accept(people.gallery.database, people.templates, _places_of(people, options.accept), utc_now())
    audit = _audit(people, settings)  # minutes for a large gallery, with nothing to put in order when it is interrupted
    report = AuditReport(audit, crew_ids, [*map(people.name_of, crew_ids)])
    console.print("\n".join(audit_lines(report, fitting_width(console))))
    if options.json:
        answer(options, console, audit_document(report))
    shown = set() if options.no_thumbnails else {crew_ids[place] for place in places_to_show(audit)}
    with stopping_on_signals() as stopper:
        pictures = people.fetch_pictures(settings, shown, console, stopper.event)
        show_page(console, settings, render_faces(audit_page(report, pictures)), PAGE)
        if stopper.signal_number is not None:
            return EXIT_BY_SIGNAL + stopper.signal_number
    return EXIT_SOME_FAILED if audit.findings else EXIT_OK


def _audit(people: People, settings: Settings) -> Audit:
    templates = people.templates
    gallery, threshold = UnitTemplates.of(templates.vectors), service_threshold(settings)
    scan = scan_gallery(gallery, threshold, [threshold])
    accepted = read_accepted(people.gallery.database, templates)
    return audit_gallery(gallery, scan, templates.sha256s, threshold, people.read_pictures, accepted)


def _places_of(people: People, crew_ids: Sequence[str]) -> tuple[int, int]:
    """Return the places of two members. Raises MemberNotProcessable unless both have a vector, or if they are one."""
    one, other = crew_ids
    for crew_id in crew_ids:
        if crew_id not in people.templates.crew_ids:
            raise MemberNotProcessable(f"{printable(crew_id)} no tiene vector en la galería", "Revise --accept.")
    if one == other:
        raise MemberNotProcessable("--accept necesita dos personas distintas", "Revise los identificadores.")
    return people.templates.crew_ids.index(one), people.templates.crew_ids.index(other)
