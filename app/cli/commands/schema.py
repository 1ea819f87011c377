"""`--print-schema`: print the SQL of the tables that are missing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from rich.console import Console

from app.cli.settings import read_settings
from app.core.config import Settings
from app.core.database import Database
from app.errors import EXIT_OK, RunError
from app.gallery.embeddings_table import table_exists, table_statements
from app.gallery.tables import pending_statements, read_version


def run(options: argparse.Namespace, console: Console, _load_faces: object) -> int:
    """Print each statement, or that none is needed. Raises SettingsError."""
    statements = [f"{statement};" for statement in schema_statements(read_settings(options))]
    console.print("\n\n".join(statements or ["-- No falta ninguna tabla: todas están al día."]))
    return EXIT_OK


def schema_statements(settings: Settings) -> Iterator[str]:
    """Yield the SQL that is still to be run for all our tables; all of it when the database cannot be asked."""
    database = Database(settings)
    try:
        version, is_there = read_version(database, retry=False), table_exists(database)
    except RunError:
        version, is_there = 0, False
    if not is_there:
        yield from table_statements(database)
    yield from pending_statements(version, database.engine.dialect)
