"""`--history`: show the last runs."""

from __future__ import annotations

import argparse

from rich.console import Console
from sqlalchemy import inspect

from app.cli.settings import read_settings, utc_now
from app.core.database import Database
from app.errors import EXIT_OK
from app.gallery.embeddings_table import advising_the_denied
from app.gallery.own_tables import RUNS
from app.gallery.run_history import RunHistory
from app.reports.console import fitting_width
from app.reports.history_report import history_document, history_lines
from app.reports.run_json import hand_over

SHOWN_RUNS = 20


def run(options: argparse.Namespace, console: Console, _load_faces: object) -> int:
    """Print the last runs, the latest first; no table is made where there is none yet. Raises RunError."""
    database = Database(read_settings(options))
    with advising_the_denied():
        known = database.exists and database.transaction(lambda each: inspect(each).has_table(RUNS.name), retry=False)
        runs = RunHistory(database).last(SHOWN_RUNS, utc_now()) if known else []
    console.print("\n".join(history_lines(runs, fitting_width(console))))
    if options.json:
        hand_over(console, history_document(runs), options.json)
    return EXIT_OK
