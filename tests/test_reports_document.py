from __future__ import annotations

from datetime import datetime

from app.faces.quality import COMPONENTS
from app.records import CrewMember, Failed, Outcome, Skipped, Stored
from app.reports.document import describe, run_document
from app.reports.review import RunFacts, build_review

ANA = CrewMember("1", "a.jpg")
LIMITS = {component.name: (0.0, 0.0) for component in COMPONENTS}
OLD = Failed(ANA, "detect", "no_face", recalled=True)


def test_each_failure_says_whether_it_is_old_news() -> None:
    outcomes: list[Outcome] = [OLD, Failed(ANA, "detect", "no_face"), Stored(ANA, 1), Skipped(ANA, "renamed")]
    assert [describe(outcome, LIMITS)["recalled"] for outcome in outcomes] == [True, False, None, None]
    assert describe(outcomes[3], LIMITS)["code"] == "renamed"


def test_the_summary_has_old_news_and_whatever_it_is_given() -> None:
    ending = {"exit_code": 1, "deactivated": ["8"], "purged": ["9"], "rows_left": 0, "plan": {"new": 1}}
    outcomes = [OLD, Failed(ANA, "detect", "no_face")]
    review = build_review(outcomes, RunFacts(datetime(2026, 11, 22), 1.0), LIMITS)
    summary = run_document(outcomes, review, LIMITS, ending)["summary"]
    assert (summary["failed"], summary["recalled"]) == (2, 1)
    assert ending.items() <= summary.items()
