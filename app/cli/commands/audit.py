"""`--audit`: compare everyone in the gallery with everyone, for people to look at who is too near to whom."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from app.cli.document import answer
from app.cli.people import People, gallery_lines, open_people, service_threshold, show_page
from app.cli.settings import open_logs, read_settings
from app.core.clock import utc_now
from app.core.signals import stopping_on_signals
from app.core.spanish import suggest
from app.core.text import printable
from app.errors import EXIT_BY_SIGNAL, EXIT_OK, EXIT_SOME_FAILED, MemberNotProcessable
from app.gallery.accepted_pairs import accept, read_accepted
from app.recognition.audit import Audit, Finding, audit_gallery
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
    auditing = Auditing(people, service_threshold(settings))  # minutes for a large gallery; Ctrl+C ends it at once
    audit = auditing.audit()
    if options.accept:
        places = auditing.places_of(options.accept)
        is_new = auditing.accept(places, audit)
        audit = auditing.audit() if is_new else audit
        console.print(printable(_say_accepted(options.accept, audit.finding_of(places), is_new=is_new)))
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


class Auditing:
    """The comparison of everyone with everyone, and what people have accepted of it."""

    def __init__(self, people: People, threshold: float) -> None:
        self._people, self._threshold = people, threshold
        self._gallery = UnitTemplates.of(people.templates.vectors)
        self._scan = scan_gallery(self._gallery, threshold, [threshold])

    def audit(self) -> Audit:
        """Return what was found and not accepted. Raises DatabaseUnavailable."""
        people, accepted = self._people, self._accepted()
        sha256s, pictures = people.templates.sha256s, people.read_pictures
        return audit_gallery(self._gallery, self._scan, sha256s, self._threshold, pictures, accepted)

    def places_of(self, crew_ids: Sequence[str]) -> tuple[int, int]:
        """Return the places of two members. Raises MemberNotProcessable unless both have a vector, or if they are
        one."""
        known = self._people.templates.crew_ids
        for crew_id in crew_ids:
            if crew_id not in known:
                advice = f"Revise --accept.{suggest(crew_id, known)}"
                raise MemberNotProcessable(f"{printable(crew_id)} no tiene vector en la galería", advice)
        if crew_ids[0] == crew_ids[1]:
            raise MemberNotProcessable("--accept necesita dos personas distintas", "Revise los identificadores.")
        return known.index(crew_ids[0]), known.index(crew_ids[1])

    def accept(self, places: tuple[int, int], audit: Audit) -> bool:
        """Accept two members whom the audit found; return False if they were accepted before. Raises
        MemberNotProcessable for two who are no finding, because a mistyped id would hide what comes later, and
        DatabaseUnavailable."""
        if tuple(sorted(places)) in self._accepted():
            return False
        if audit.finding_of(places) is None:
            one, other = (printable(self._people.templates.crew_ids[place]) for place in places)
            raise MemberNotProcessable(
                f"{one} y {other} no son ningún hallazgo: no se anotó nada", "Revise los identificadores de --accept."
            )
        accept(self._people.gallery.database, self._people.templates, places, utc_now())
        return True

    def _accepted(self) -> set[tuple[int, int]]:
        return set(read_accepted(self._people.gallery.database, self._people.templates))


def _say_accepted(crew_ids: Sequence[str], group: Finding | None, *, is_new: bool) -> str:
    """Return what --accept did. `group`: the finding that the two are still part of."""
    one, other = crew_ids
    if not is_new:
        return f"{one} y {other} ya estaban anotados"
    rest = f". Las {len(group.places)} personas de su grupo siguen hasta aceptar todas sus parejas" if group else ""
    return f"✅ Anotado: {one} y {other} están bien así{rest}"
