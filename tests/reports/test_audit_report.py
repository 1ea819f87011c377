"""The advice of --audit can be pasted into a shell."""

from __future__ import annotations

import shlex

from app.recognition.audit import NEAR, Audit, Finding
from app.reports.audit_report import AuditReport


def test_ids_in_the_advice_are_quoted_for_a_shell() -> None:
    finding = Finding(NEAR, (0, 1), 0.1)
    report = AuditReport(Audit(2, 0.4, (finding,), ()), ("O'Neil 7", "A(1)"), ("", ""))
    words = shlex.split(report.advice(finding).rstrip("."))
    assert words[-2:] == ["O'Neil 7", "A(1)"]
