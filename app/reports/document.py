"""The run as JSON: a summary, and one object for each member."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from app.arguments import STDOUT
from app.errors import RunError, SettingsError
from app.records import Failed, Outcome, Skipped, Stored
from app.reports.summary import Summary, reason


def run_document(
    outcomes: Sequence[Outcome], summary: Summary, model: str, exit_code: int, error: RunError | None
) -> dict[str, Any]:
    """The document, ready to serialise. Its keys are stable."""
    return {
        "summary": {
            "model": model,
            "exit_code": exit_code,
            "error": str(error) if error else None,
            "stored": summary.stored,
            "failed": summary.failed,
            "skipped": summary.skipped,
            "interrupted": summary.interrupted,
            "total": summary.total,
            "seconds": round(summary.seconds, 3),
            "errors_by_code": summary.by_code,
            "stages_ms": summary.stages_ms,
        },
        "members": [describe(outcome) for outcome in outcomes],
    }


def describe(outcome: Outcome) -> dict[str, Any]:
    """One member: which outcome, and where and why it ended."""
    entry: dict[str, Any] = {
        "crew_id": encodable(outcome.member.crew_id),
        "outcome": type(outcome).__name__.lower(),
        "stage": None,
        "code": None,
        "detail": None,
        "embedding_id": None,
        "timings_ms": dict(outcome.timings_ms),
    }
    if isinstance(outcome, Stored):
        entry["embedding_id"] = outcome.embedding_id
    elif isinstance(outcome, Failed):
        entry |= {"stage": outcome.stage, "code": outcome.code, "detail": encodable(reason(outcome))}
    elif isinstance(outcome, Skipped):
        entry["code"] = outcome.code
    return entry


def encodable(text: str) -> str:
    """A folder's name may hold bytes that are no text; JSON has no place for them."""
    return text.encode("utf-8", "backslashreplace").decode()


def check_target(target: str) -> None:
    """Notice before the run that its document could not be written. Raises SettingsError."""
    path = Path(target).resolve()
    writable = path if path.exists() else path.parent
    if target != STDOUT and (path.is_dir() or not os.access(writable, os.W_OK)):
        raise SettingsError(f"No se puede escribir en {target}", "Indique en --json una carpeta que exista y sea suya.")


def write_document(document: Any, target: str) -> None:
    """To a file, complete or not at all, or to stdout (`-`)."""
    content = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if target == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    path = Path(target)
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # a pipe or a device, which must not become a file
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
