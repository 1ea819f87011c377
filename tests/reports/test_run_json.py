from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import orjson
import pytest

from app.faces.quality import COMPONENTS
from app.planning.decisions import NEW, Case, Decision
from app.planning.plan import Plan
from app.records import CrewMember, Failed, Outcome, Skipped, Stored
from app.reports.document import AT_ONCE, write_document
from app.reports.photo_review import build_review
from app.reports.run_json import describe, run_document
from app.runs.outcomes import Outcomes
from app.runs.result import RunResult

ANA = CrewMember("1", "a.jpg")
LIMITS = {component.name: (0.0, 0.0) for component in COMPONENTS}
OLD = Failed(ANA, "detect", "no_face", recalled=True)


def test_each_failure_says_whether_it_is_old_news() -> None:
    outcomes: list[Outcome] = [OLD, Failed(ANA, "detect", "no_face"), Stored(ANA, 1), Skipped(ANA, "renamed")]
    assert [describe(outcome)["recalled"] for outcome in outcomes] == [True, False, None, None]
    assert describe(outcomes[3])["code"] == "renamed"


def test_the_summary_has_old_news_and_whatever_it_is_given() -> None:
    ending = {"exit_code": 1, "deactivated": ["8"], "purged": ["9"], "rows_left": 0, "plan": {"new": 1}}
    plan = Plan([Decision(NEW, "", Case(ANA, ""))])
    failures = Outcomes([OLD, Failed(CrewMember("2", "b.jpg"), "detect", "no_face")])
    result = RunResult(failures, deactivated=["8"], purged=["9"], rows_left=0, plan=plan)
    summary = run_document(result, build_review(result, LIMITS), "Facenet512", 1)["summary"]
    assert (summary["failed"], summary["recalled"]) == (2, 1)
    assert ending.items() <= summary.items()


def test_a_new_document_is_its_owner_s_alone_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    old.touch()
    old.chmod(0o644)
    before = os.umask(0)
    for path in (new, old):
        write_document({"a": 1}, str(path))
    os.umask(before)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {
        "new.json": 0o600,
        "old.json": 0o644,
    }


def test_the_document_holds_nothing_that_a_terminal_obeys_and_reads_back_as_it_was(tmp_path: Path) -> None:
    document = {"Ñandú ✅": ["\x9b2J \x7f \u202e \u200b \u2028 \U000e0001 \x1b[0m \n", 'dice "\\u009b"']}
    write_document(document, str(tmp_path / "a.json"))
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "Ñandú ✅" in text
    assert json.loads(text) == document


@pytest.mark.parametrize(
    "items",
    [[], [1], [{"a": [1, {"b": "\n"}], "c": {}}, "Ñ", []], [{"n": 1}] * AT_ONCE, [{"n": 1}] * (2 * AT_ONCE + 1)],
)
def test_items_that_are_written_one_by_one_read_as_a_list_does(tmp_path: Path, items: list[object]) -> None:
    one_by_one, at_once = tmp_path / "a.json", tmp_path / "b.json"
    document = {"first": {"a": [1, 2]}, "members": items, "plan": {"in it": items, "Ñ": {}}, "last": []}
    write_document(
        document | {"members": iter(items), "plan": {"in it": iter(items), "Ñ": {}}},
        str(one_by_one),
    )
    write_document(document, str(at_once))
    assert one_by_one.read_bytes() == at_once.read_bytes()
    assert at_once.read_bytes() == orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
