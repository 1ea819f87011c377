"""`--history`: show the last runs."""

from __future__ import annotations

import argparse

from rich.console import Console

from app.cli.document import answer
from app.cli.settings import read_settings
from app.core.clock import utc_now
from app.core.database import Database
from app.errors import EXIT_OK
from app.gallery.run_history import RunHistory
from app.reports.console import fitting_width
from app.reports.history_report import history_document, history_lines

SHOWN_RUNS = 20


def run(options: argparse.Namespace, console: Console, _load_faces: object) -> int:
    """Print the last runs, the latest first, and hand them over as JSON if asked for. Where there are no tables yet
    there are no runs, and no table is made. Raises RunError."""
    runs = RunHistory(Database(read_settings(options))).last(SHOWN_RUNS, utc_now())
    console.print("\n".join(history_lines(runs, fitting_width(console))))
    if options.json:
        answer(options, console, history_document(runs))
    return EXIT_OK
