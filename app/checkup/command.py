"""`--check`: the options come in, the table and its document go out, and an exit code."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from app.checkup.checkup import Subject, check
from app.core.config import Settings
from app.core.signals import stopping_on_signals
from app.errors import EXIT_BY_SIGNAL, SettingsError
from app.finding import Finding
from app.reports.checkup import check_document, closing_lines, decide_check_exit_code, finding_lines
from app.reports.columns import fitting_width
from app.reports.document import write_document
from app.roster.folder import FolderRoster


def run_checkup(options: argparse.Namespace, console: Console, read_settings: Callable[[], Settings]) -> int:
    """Look at everything and say it as it is found. `read_settings` may raise SettingsError: that is a finding, too."""
    try:
        settings: Settings | SettingsError = read_settings()
    except SettingsError as error:
        settings = error
    subject = Subject(folder=FolderRoster(options.photos) if options.photos else None)
    width = fitting_width(console)
    findings: list[Finding] = []
    with stopping_on_signals() as stopper:
        for finding in check(settings, subject, stopper.event):
            console.print("\n".join(finding_lines(finding, findings[-1] if findings else None, width)))
            findings.append(finding)
    exit_code = decide_check_exit_code(findings)
    console.print("\n".join(closing_lines(findings, width)))
    if options.json:
        write_document(check_document(findings, exit_code), options.json)
    return exit_code if stopper.signal_number is None else EXIT_BY_SIGNAL + stopper.signal_number
