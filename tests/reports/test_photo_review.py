from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from app.errors import DatabaseUnavailable, item_errors, kind_of
from app.faces.quality import COMPONENTS
from app.planning.decisions import CHANGED, UNCHANGED, Case, Decision
from app.planning.plan import Plan
from app.records import CrewMember, Enrolment, Failed, Outcome, PhotoAnalysis, PhotoRecord, Skipped, Stored
from app.reports.photo_review import Changes, Entry, Review, build_review
from app.runs.outcomes import Outcomes
from app.runs.result import RunResult
from tests.planning.test_decisions import OTHER_WEIGHTS, RESTING, ROW, RULES

WHEN = datetime(2026, 11, 22, 6, 0)
ALL_SKIPPED = ("current", "renamed", "same_file", "reencoded", "reactivated", "interrupted")
LENIENT = {component.name: (0.0, 0.0) for component in COMPONENTS}
ANA, LUIS, ZOE = (
    CrewMember(str(n), f"{n}.jpg", name) for n, name in ((1, "Ana Peña"), (2, "Luis Gil"), (3, "Zoe Paz"))
)


def analysis(**components: float) -> PhotoAnalysis:
    """Return the analysis of a photo of 200 x 100 pixels with a face, of which only these components were assessed."""
    quality = np.array([components.get(component.name, np.nan) for component in COMPONENTS], np.float32)
    return PhotoAnalysis((200, 100), box=(50, 25, 40, 50), quality=quality, thumbnail=b"jpeg")


def review(
    *outcomes: Outcome,
    limits: dict[str, tuple[float, float]] | None = None,
    improvable: Sequence[tuple[CrewMember, str]] = (),
    **facts: Any,
) -> Review:
    """Return the review of these outcomes. `improvable`: members whose photo an earlier run warned of, and the
    component; those without an outcome are current."""
    known = {outcome.member.crew_id for outcome in outcomes}
    current = [Skipped(member, "current") for member, _ in improvable if member.crew_id not in known]
    cases = [Case(member, "", None, PhotoRecord("", improvable=name)) for member, name in improvable]
    plan = Plan([Decision(UNCHANGED, "", case) for case in cases])
    result = RunResult(Outcomes([*outcomes, *current]), started_at=WHEN, seconds=1.0, plan=plan, **facts)
    return build_review(result, LENIENT | (limits or {}))


def test_a_failure_is_told_in_the_words_of_its_error_with_the_photo_and_the_face_in_it() -> None:
    found = review(Failed(ANA, "detect", "several_faces", "se ven 3", analysis=analysis())).entries
    kind = kind_of("several_faces")
    words = ("several_faces", kind.title, "se ven 3", kind.advice)
    assert found == (Entry("1", "Ana Peña", "1.jpg", "retake", *words, "", False, b"jpeg", (0.25, 0.25, 0.2, 0.5)),)


@pytest.mark.parametrize(
    ("row", "facts", "recognised"),
    [
        (ROW, {}, True),
        (RESTING, {}, False),
        (RESTING, {"reactivated": ["1"]}, True),
        (OTHER_WEIGHTS, {}, False),
        (None, {}, False),
    ],
)
def test_who_failed_is_recognised_while_a_vector_of_an_earlier_photo_is_in_use(
    row: Enrolment | None, facts: dict[str, Any], recognised: bool
) -> None:
    plan = Plan([Decision(CHANGED, "", Case(ANA, "", row)), Decision(UNCHANGED, "", Case(ZOE, "", ROW))])
    result = RunResult(
        Outcomes([Failed(ANA, "detect", "no_face"), Skipped(ZOE, "current")]), plan=plan, rules=RULES, **facts
    )
    assert [entry.recognised for entry in build_review(result, LENIENT).entries] == [recognised]
    assert not any(entry.recognised for entry in build_review(replace(result, plan=None, rules=None), LENIENT).entries)


def test_a_photo_of_low_quality_is_told_in_the_words_of_its_worst_component() -> None:
    photo = analysis(HeadPoseYaw=89.0, HeadPosePitch=60.0)
    limits = {"HeadPoseYaw": (80.0, 70.0), "HeadPosePitch": (80.0, 70.0)}
    (entry,) = review(Failed(ANA, "detect", "low_quality", "HeadPoseYaw", analysis=photo), limits=limits).entries
    yaw, pitch = (next(c for c in COMPONENTS if c.name == name) for name in ("HeadPoseYaw", "HeadPosePitch"))
    assert (entry.title, entry.detail, entry.advice) == (yaw.defect, pitch.defect, yaw.advice)


def test_a_stored_member_is_listed_only_when_the_photo_could_be_better() -> None:
    better, good = (
        Stored(ANA, 1, analysis=analysis(HeadPoseYaw=60.0)),
        Stored(LUIS, 2, analysis=analysis(HeadPoseYaw=0.0)),
    )
    (entry,) = review(better, good, Stored(ZOE, 3), limits={"HeadPoseYaw": (80.0, 10.0)}).entries
    assert (entry.crew_id, entry.kind, entry.code, entry.change) == ("1", "improve", "HeadPoseYaw", "")


def test_a_failed_member_is_listed_once_even_if_the_photo_could_be_better() -> None:
    photo = analysis(HeadPoseYaw=60.0)
    found = review(Failed(ANA, "store", "row_refused", analysis=photo), limits={"HeadPoseYaw": (80.0, 10.0)})
    assert [entry.kind for entry in found.entries] == ["technical"]


def test_every_error_has_its_group() -> None:
    kinds = {kind.code: kind for kind in item_errors()}
    outcomes = [Failed(CrewMember(code, "a.jpg"), kind.stage, code) for code, kind in kinds.items()]
    groups: dict[str, set[str]] = {}
    for entry in review(*outcomes).entries:
        groups.setdefault(entry.kind, set()).add(entry.code)
    assert groups.pop("technical") == {
        "photo_forbidden",
        "photo_unavailable",
        "bad_vector",
        "row_refused",
        "unexpected",
    }
    assert groups.pop("shared") == {"shared_photo"}
    assert groups.keys() == {"retake"}
    assert "set_aside" in groups["retake"]


def test_groups_come_in_their_order_and_within_them_defects_and_names() -> None:
    outcomes = [
        Failed(ANA, "run", "unexpected"),
        Stored(CrewMember("4", "4.jpg", "Eva"), 1, analysis=analysis(HeadPoseYaw=60.0)),
        Failed(CrewMember("5", "5.jpg", "Leo"), "decode", "shared_photo"),
        Failed(ZOE, "detect", "no_face"),
        Failed(LUIS, "detect", "no_face"),
    ]
    found = review(*outcomes, limits={"HeadPoseYaw": (80.0, 0.0)}).entries
    assert [entry.full_name for entry in found] == ["Luis Gil", "Zoe Paz", "Leo", "Eva", "Ana Peña"]


def test_changes_since_the_run_before_tell_fixed_new_and_open() -> None:
    outcomes = [
        Failed(ANA, "detect", "no_face"),
        Failed(LUIS, "detect", "several_faces"),
        Stored(ZOE, 3),
        Skipped(CrewMember("4", "4.jpg"), "current"),
        Skipped(CrewMember("5", "5.jpg"), "interrupted"),
    ]
    found = review(
        *outcomes, previous={"1": "low_quality", "3": "no_face", "4": "no_face", "5": "no_face", "9": "no_face"}
    )
    assert found.changes == Changes(("Zoe Paz (3)",), new=1, open=1)
    assert {entry.crew_id: entry.change for entry in found.entries} == {"1": "open", "2": "new"}


def test_a_failure_of_an_earlier_run_is_listed_as_still_open() -> None:
    old = Failed(ANA, "detect", "no_face", recalled=True)
    found = review(old, Failed(LUIS, "detect", "no_face"), previous={"9"})
    assert {entry.crew_id: entry.change for entry in found.entries} == {"1": "open", "2": "new"}
    assert found.changes == Changes((), new=1, open=1)
    assert review(old).entries[0].change == "open"


def test_photos_that_were_not_looked_at_are_shown_as_an_earlier_run_saw_them() -> None:
    earlier = {each: PhotoAnalysis((100, 100), box=(10, 20, 30, 40), thumbnail=b"antes") for each in "123"}
    old = Failed(ANA, "detect", "no_face", recalled=True)
    now = Failed(LUIS, "detect", "no_face", analysis=analysis())
    found = review(old, now, improvable=[(ZOE, "HeadPoseYaw")], illustrations=earlier).entries
    assert {entry.crew_id: (entry.thumbnail, entry.box) for entry in found} == {
        "1": (b"antes", (0.1, 0.2, 0.3, 0.4)),
        "2": (b"jpeg", (0.25, 0.25, 0.2, 0.5)),
        "3": (b"antes", (0.1, 0.2, 0.3, 0.4)),
    }


def test_a_photo_of_this_run_is_never_shown_as_an_earlier_one_was() -> None:
    earlier = {"1": PhotoAnalysis((100, 100), thumbnail=b"antes"), "2": PhotoAnalysis((100, 100), thumbnail=b"antes")}
    outcomes = (
        Failed(ANA, "download", "photo_not_found"),
        Failed(LUIS, "x", "no_face", "", {}, analysis(), None, True),
    )
    found = review(*outcomes, illustrations=earlier).entries
    assert {entry.crew_id: entry.thumbnail for entry in found} == {"1": b"", "2": b"jpeg"}


def test_without_an_earlier_picture_an_entry_goes_without() -> None:
    old = Failed(ANA, "detect", "no_face", recalled=True)
    found = review(old, improvable=[(ZOE, "HeadPoseYaw")]).entries
    assert [(entry.thumbnail, entry.box) for entry in found] == [(b"", None)] * 2


def test_a_failed_member_is_not_listed_as_improvable_too() -> None:
    found = review(Failed(ANA, "detect", "no_face"), improvable=[(ANA, "HeadPoseYaw"), (ZOE, "HeadPoseYaw")])
    assert [(entry.crew_id, entry.kind) for entry in found.entries] == [("1", "retake"), ("3", "improve")]


def test_nothing_is_new_when_there_was_no_run_before() -> None:
    found = review(Failed(ANA, "detect", "no_face"))
    assert (found.changes, found.entries[0].change) == (None, "")


def test_a_notice_is_listed_although_nothing_failed() -> None:
    found = review(Stored(LUIS, 1), reported=[(ANA, "es la de Luis Gil (2)")], previous={})
    assert [(entry.crew_id, entry.kind, entry.detail) for entry in found.entries] == [
        ("1", "shared", "es la de Luis Gil (2)")
    ]
    assert found.changes == Changes((), new=0, open=0)


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        ([], "No había ninguna persona por procesar."),
        ([Stored(ANA, 1)], "1 persona quedó registrada."),
        ([Stored(ANA, 1), Stored(ZOE, 2), Failed(LUIS, "detect", "no_face")],
         "2 personas quedaron registradas y 1 no se pudo registrar."),
        ([Stored(ANA, 1), Failed(LUIS, "detect", "no_face"), Skipped(ZOE, "current")],
         "1 persona quedó registrada, 1 no se pudo registrar y 1 ya estaba al día."),
        ([Skipped(ANA, "interrupted")], "No se procesó a nadie."),
        ([Skipped(CrewMember(code, "a.jpg"), code) for code in ALL_SKIPPED],
         "1 persona volvió al padrón con la misma foto y 4 ya estaban al día."),
    ],
)  # fmt: skip
def test_one_sentence_says_what_happened(outcomes: list[Outcome], sentence: str) -> None:
    assert review(*outcomes).sentence == sentence


def test_a_run_that_was_cut_short_says_why_and_how_many_it_did_not_reach() -> None:
    assert review(Stored(ANA, 1)).error == ""
    found = review(Skipped(ANA, "interrupted"), error=DatabaseUnavailable("No hay conexión", "Avise a sistemas."))
    assert found.error == "No hay conexión. Avise a sistemas. Para la próxima ejecución: 1 persona."


def test_scores_are_gathered_by_component_from_everybody_who_was_assessed() -> None:
    outcomes = [
        Stored(ANA, 1, analysis=analysis(HeadPoseYaw=0.0)),
        Failed(LUIS, "detect", "low_quality", analysis=analysis(HeadPoseYaw=90.0)),
        Stored(ZOE, 2),
    ]
    (found,) = review(*outcomes, limits={"HeadPoseYaw": (40.0, 10.0)}).distributions
    assert (found.name, found.scores, found.warn, found.reject) == ("HeadPoseYaw", (100, 0), 40.0, 10.0)


def test_control_characters_of_the_roster_are_shown_and_do_nothing() -> None:
    (entry,) = review(Failed(CrewMember("1\n2", "a\x1b.jpg", "Ana\u202e"), "detect", "no_face", "\x00")).entries
    assert (entry.crew_id, entry.photo_name, entry.full_name) == ("1\\n2", "a\\x1b.jpg", "Ana<U+202E>")
    assert entry.detail == "\\x00"
