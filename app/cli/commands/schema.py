"""`--print-schema`: print the SQL of the tables that are missing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from rich.console import Console
from sqlalchemy import inspect
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from app.cli.settings import read_settings
from app.core.config import Settings
from app.core.database import Database
from app.errors import EXIT_OK, RunError
from app.gallery.embeddings_table import TABLE, define_table
from app.gallery.schema_migrations import read_version, step_statements


def run(options: argparse.Namespace, console: Console, _load_faces: object) -> int:
    """Print each statement, or that none is needed. Raises SettingsError."""
    statements = [f"{statement};" for statement in schema_statements(read_settings(options))]
    console.print("\n\n".join(statements or ["-- No falta ninguna tabla: todas están al día."]))
    return EXIT_OK


def schema_statements(settings: Settings) -> Iterator[str]:
    """Yield the SQL that is still to be run for all our tables; all of it when the database cannot be asked."""
    database = Database(settings)
    try:
        version = database.transaction(read_version, retry=False)
        exists = database.transaction(lambda connection: inspect(connection).has_table(TABLE), retry=False)
    except RunError:
        version, exists = 0, False
    if not exists:
        table = define_table(mysql=database.is_mysql)
        dialect = mysql.dialect() if database.is_mysql else sqlite.dialect()
        yield str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip()
        for index in table.indexes:
            yield str(CreateIndex(index).compile(dialect=dialect)).strip()
    yield from step_statements(mysql=database.is_mysql, after=version)
