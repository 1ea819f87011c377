"""`--check`: run all checks and print each finding as it is made."""

from __future__ import annotations

import argparse

from rich.console import Console

from app.checkup.checks import run_checks
from app.checkup.finding import BROKEN, WARNING, Finding
from app.checkup.report import check_document, closing_lines, decide_check_exit_code, finding_lines
from app.cli.document import answer
from app.cli.settings import read_settings
from app.core.config import Settings
from app.core.signals import stopping_on_signals
from app.errors import EXIT_BY_SIGNAL, SettingsError
from app.reports.console import fitting_width
from app.roster.folder import FolderRoster


def run(options: argparse.Namespace, console: Console, _load_faces: object) -> int:
    """Check everything, also settings that cannot be read, and print it; a quiet console prints problems only."""
    try:
        settings: Settings | SettingsError = read_settings(options)
    except SettingsError as error:
        settings = error
    folder = FolderRoster(options.photos) if options.photos else None
    width, quiet = fitting_width(console), console.quiet
    findings: list[Finding] = []
    printed: Finding | None = None
    with stopping_on_signals() as stopper:
        for finding in run_checks(settings, stopper.event, folder=folder):
            findings.append(finding)
            if not quiet or finding.level in (WARNING, BROKEN):
                console.quiet = False
                console.print("\n".join(finding_lines(finding, printed, width)))
                printed = finding
    exit_code = decide_check_exit_code(findings)
    console.print("\n".join(closing_lines(findings, width)))
    if stopper.signal_number is not None:
        exit_code = EXIT_BY_SIGNAL + stopper.signal_number
    if options.json:
        answer(options, console, check_document(findings, exit_code))
    return exit_code
