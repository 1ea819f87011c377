"""`--match`: who are the people in these photos, by the gallery?"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import Console

from app.cli.document import answer
from app.cli.people import People, ask_about, gallery_lines, open_people, say_interrupted, service_threshold, show_page
from app.cli.settings import open_logs, read_settings
from app.core.config import Settings
from app.core.signals import stopping_on_signals
from app.core.text import printable
from app.errors import EXIT_BY_SIGNAL, EXIT_OK, EXIT_SOME_FAILED, SettingsError
from app.pipeline.face_loading import LoadFaces
from app.pipeline.probe_photos import ProbePhoto, list_photos
from app.recognition.distances import UnitTemplates
from app.recognition.match import Candidate, MatchRules, match, measure_strangers
from app.reports.console import fitting_width
from app.reports.faces_page import render_faces
from app.reports.match_report import Answers, match_document, match_lines, match_page
from app.roster.folder import say_passed_over

PAGE = "match.html"


def run(options: argparse.Namespace, console: Console, load_faces: LoadFaces | None) -> int:
    """Find the faces in the photos, compare them with the gallery, and show who they are. Raises RunError."""
    settings = read_settings(options)
    open_logs(options, settings)
    with stopping_on_signals() as stopper:
        found = list_photos(options.match)
        if not found.names and not found.failed:
            raise SettingsError(
                "No hay ninguna foto en lo que se indicó", "Indique en --match fotos, o carpetas con fotos."
            )
        people = open_people(options, settings)
        console.print("\n".join(gallery_lines(people.templates, settings)))
        if found.passed_over:
            console.print(printable(say_passed_over(found.passed_over)))
        photos = ask_about(settings, people, found.names, load_faces, stopper.event)
        interrupted = stopper.event.is_set()
        if interrupted:
            console.print(f"⚠️  {say_interrupted(len(photos), len(found.names))}")
        photos.extend(found.failed)
        answers = _answer(settings, people, photos)
        console.print("\n".join(match_lines(answers, fitting_width(console))))
        if options.json:
            answer(options, console, match_document(answers, interrupted=interrupted))
        shown = set() if options.no_thumbnails else {answers.crew_ids[each.place] for each in _candidates(answers)}
        pictures = people.fetch_pictures(settings, shown, console, stopper.event)
        show_page(console, settings, render_faces(match_page(answers, pictures)), PAGE)
        if stopper.signal_number is not None:
            return EXIT_BY_SIGNAL + stopper.signal_number
    return EXIT_SOME_FAILED if any(photo.error for photo in photos) else EXIT_OK


def _answer(settings: Settings, people: People, photos: Sequence[ProbePhoto]) -> Answers:
    rules = MatchRules(service_threshold(settings), settings.MAX_FACE_MATCHES)
    gallery = UnitTemplates.of(people.templates.vectors)
    strangers = measure_strangers(gallery, rules.threshold)
    vectors = [face.vector for photo in photos for face in photo.faces]
    found = iter(match(UnitTemplates.of(np.stack(vectors)), gallery, rules, strangers) if vectors else ())
    matches = [[next(found) for _ in photo.faces] for photo in photos]
    crew_ids = people.templates.crew_ids
    return Answers(photos, matches, crew_ids, [*map(people.name_of, crew_ids)], rules, strangers, settings.FACE_MODEL)


def _candidates(answers: Answers) -> Iterable[Candidate]:
    return (candidate for matches in answers.matches for each in matches for candidate in each.candidates)
