"""What a run is going to do, with a photo server that is a function."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from app.errors import BadName
from app.planning import planner
from app.planning.decisions import DEACTIVATE, NEW, PURGE, SET_ASIDE, UNCHANGED, UNPROCESSABLE, Case, Decision
from app.planning.plan import Plan
from app.planning.planner import ASKED_AT_ONCE, PROBED, Planner
from app.planning.rules import Rules
from app.planning.survey import Part, RosterEntry, Survey
from app.records import (
    ANSWER_CHANGED,
    ANSWER_FORBIDDEN,
    ANSWER_GONE,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    Answer,
    CrashSuspect,
    CrewMember,
    Enrolment,
    Failed,
    PhotoRecord,
    Version,
)
from tests.planning.test_decisions import FORCE, INSIST, NOW, RECHECK, ROW, RULES, SECOND

MONTH = timedelta(days=30)
SAID = Version('"a"', "", 7)
SAME = Answer(ANSWER_SAME, SAID)
ALLOWED, PURGING = replace(RULES, allow_mass_change=True), replace(RULES, purge_after=MONTH)
LEFT = "ya no está activo en el padrón"


def crew(*numbers: int) -> list[CrewMember]:
    return [CrewMember(str(number), "a.jpg") for number in numbers]


def url_of(member: CrewMember) -> str:
    if "/" in member.photo_name:
        raise BadName(f"«{member.photo_name}» contiene una barra")
    return f"http://fotos/{member.crew_id}/{member.photo_name}"


def row(number: int, *, active: bool = True) -> Enrolment:
    """The row 100 + number, of the photo that the roster names."""
    ids = (100 + number,)
    url = url_of(CrewMember(str(number), "a.jpg"))
    return replace(ROW, row_id=ids[0], url=url, active_ids=ids if active else (), all_ids=ids)


def refusal(crew_id: str) -> str:
    return "es demasiado largo" if len(crew_id) > 10 else ""


def seen(number: int, **values: object) -> PhotoRecord:
    """Its photo, to be asked about again."""
    url = url_of(CrewMember(str(number), "a.jpg"))
    return replace(PhotoRecord(url, SAID, "aa", checked_at=NOW - RECHECK), **values)  # type: ignore[arg-type]


def named(crew_ids: Sequence[str]) -> str:
    """The ids as a sentence names them: ten at most."""
    return ", ".join(crew_ids[:10]) + (f" y {len(crew_ids) - 10} más" if len(crew_ids) > 10 else "")


def left(number: int, ago: timedelta) -> PhotoRecord:
    return seen(number, left_at=NOW - ago)


def knowing(
    entries: Sequence[RosterEntry],
    enrolments: Mapping[int, Enrolment],
    photo_record: Mapping[int, PhotoRecord] | None = None,
    *,
    whole: bool = True,
) -> Survey:
    texts = {str(number): photo for number, photo in (photo_record or {}).items()}
    rows = {str(number): each for number, each in enrolments.items()}
    return Survey([Part(list(enumerate(entries)), rows, texts)], whole, {})


def gallery_of(count: int) -> dict[int, Enrolment]:
    return {number: row(number) for number in range(count)}


def plan_of(
    survey: Survey,
    ask: Callable[[CrewMember, Version], Answer] = lambda member, version: SAME,
    rules: Rules = RULES,
    told: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
    threads: int = 4,
    *,
    settle: bool = False,
) -> Plan:
    of_one_run = Planner(rules, ask, url_of, refusal, stop or threading.Event(), threads=threads, settle=settle)
    return of_one_run.make(survey, told)


def leaving(plan: Plan) -> dict[str, list[str]]:
    """kind -> crew ids."""
    return {kind: [each.member.crew_id for each in plan.of(kind)] for kind in (DEACTIVATE, PURGE)}


# ------------------------------------------------------------------------------------------------------ the roster


@pytest.mark.parametrize(
    ("other", "uniform"),
    [
        (row(2), True),
        (replace(row(2), spec_digest=None), True),  # adopted
        (replace(row(2, active=False), model="Dlib"), True),
        (replace(row(2), model="Dlib"), False),
        (replace(row(2), spec_digest="otro"), False),
        (replace(row(2), known=False, spec_digest=None), False),
        (replace(row(2), active_ids=(102, 103)), False),  # of the older one's model nothing is known
    ],
)
def test_a_plan_knows_whether_rows_of_another_model_may_be_in_use(other: Enrolment, uniform: bool) -> None:
    assert plan_of(knowing(crew(1, 2), {1: row(1), 2: other}, {1: seen(1), 2: seen(2)})).uniform is uniform


def test_each_entry_has_one_decision_in_the_rosters_order() -> None:
    bad, broken = CrewMember("3", "x/y.jpg"), Failed(CrewMember("4", ""), "roster", "no_photo")
    entries = [*crew(2, 1), bad, broken, *crew(5)]
    suspect = CrashSuspect(url_of(crew(5)[0]), 2)
    survey = replace(knowing(entries, {1: row(1), 4: row(4)}, {1: seen(1), 4: seen(4)}), suspects={"5": suspect})
    plan = plan_of(survey)
    assert [(each.member.crew_id, each.kind) for each in plan.decisions] == [
        *(("2", NEW), ("1", UNCHANGED), ("3", UNPROCESSABLE), ("4", UNPROCESSABLE), ("5", SET_ASIDE)),
    ]
    refused = "«x/y.jpg» contiene una barra"
    assert plan.of(UNPROCESSABLE) == [
        Decision(UNPROCESSABLE, refused, Case(bad, ""), Failed(bad, "roster", "bad_name", refused)),
        Decision(UNPROCESSABLE, "no hay foto que procesar", Case(broken.member, "", row(4), seen(4)), broken),
    ]
    assert plan.counts == {NEW: 1, UNCHANGED: 1, UNPROCESSABLE: 2, SET_ASIDE: 1}
    assert (plan.blocked, plan.departed, plan.gallery_size) == ([], [], 2)


def test_whose_id_the_table_cannot_hold_is_not_processed() -> None:
    plan = plan_of(knowing([CrewMember("x" * 11, "a.jpg"), CrewMember("x" * 10, "a.jpg")], {}))
    assert [(each.kind, each.reason) for each in plan.decisions] == [
        (UNPROCESSABLE, "es demasiado largo"),
        (NEW, "no tiene embedding activo"),
    ]
    assert plan.decisions[0].failure == Failed(
        CrewMember("x" * 11, "a.jpg"), "store", "row_refused", "es demasiado largo"
    )


def test_who_has_still_no_usable_photo_failed_before() -> None:
    unusable = [Failed(member, "roster", "no_photo") for member in crew(1, 2, 3)]
    records = {1: seen(1, code="no_photo"), 2: seen(2, code="no_face")}
    plan = plan_of(knowing(unusable, {}, records))
    assert [each.failure and each.failure.recalled for each in plan.decisions] == [True, False, False]
    for asked in (FORCE, INSIST):  # somebody wants to be told what it is
        anew = plan_of(knowing(unusable, {}, records), rules=asked)
        assert not any(each.failure and each.failure.recalled for each in anew.decisions)


def test_only_those_whose_decision_depends_on_it_are_asked_about_each_once_with_what_is_remembered() -> None:
    asked: list[tuple[str, Version]] = []

    def ask(member: CrewMember, version: Version) -> Answer:
        asked.append((member.crew_id, version))
        return SAME

    progress: list[tuple[int, int]] = []
    photo_record = {1: seen(1), 2: seen(2, checked_at=NOW), 4: seen(4, version=Version())}
    survey = knowing(crew(1, 2, 3, 4, 5), {1: row(1), 2: row(2), 4: row(4), 5: row(5)}, photo_record)
    plan_of(survey, ask, told=lambda done, total: progress.append((done, total)))
    assert sorted(asked) == [("1", SAID), ("4", Version()), ("5", Version())]
    assert progress == [(1, 3), (2, 3), (3, 3)]


def test_what_the_server_said_is_in_the_plan_where_it_counts_as_a_check() -> None:
    answers = {
        "1": SAME,
        "2": Answer(ANSWER_UNKNOWN, SAID),
        "3": Answer(ANSWER_UNKNOWN),
        "4": Answer(ANSWER_CHANGED, SAID),
        "5": Answer(ANSWER_GONE),
        "6": Answer(ANSWER_UNREACHABLE, detail="tarda"),
        "7": Answer(ANSWER_FORBIDDEN, detail="el servidor respondió 403"),
    }
    survey = knowing(crew(*range(1, 8)), {number: row(number) for number in range(1, 8)})
    plan = plan_of(survey, lambda member, _: answers[member.crew_id])
    assert dict(plan.versions) == {
        **{"1": SAID, "2": SAID},
        "3": Version(),  # it is there, and was asked about
    }
    assert (plan.asked, plan.unchecked) == (7, {"6": "tarda"})


def test_rows_of_another_program_that_count_as_current_are_strangers() -> None:
    theirs = replace(row(1), known=False, spec_digest=None, dimensions=512)
    plan = plan_of(knowing(crew(1, 2, 3), {1: theirs, 2: row(2), 3: replace(theirs, model="Dlib", row_id=103)}))
    assert plan.adopted == {101: "1"}


@pytest.mark.parametrize(("each", "seconds"), [(None, None), (0.5, 1.0)])
def test_the_time_is_that_of_those_to_be_processed(each: float | None, seconds: float | None) -> None:
    plan = plan_of(knowing(crew(1, 2, 3), {1: row(1)}))
    assert replace(plan, seconds_each=each).seconds == seconds


@pytest.mark.parametrize(
    ("rows", "photo", "returned"),
    [
        (row(1, active=False), left(1, MONTH), {101: "1"}),
        (row(1, active=False), replace(left(1, MONTH), code="no_face", stage="detect"), {101: "1"}),  # it failed, then
        (replace(row(1, active=False), url="http://fotos/otra.jpg"), left(1, MONTH), {101: "1"}),  # with a new photo
        (replace(row(1, active=False), spec_digest="other"), left(1, MONTH), {}),  # of another model
        (row(1, active=False), seen(1), {}),  # retired by another program, not by a departure
        (row(1), left(1, MONTH), {}),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_rows_of_members_who_are_back_are_used_again_whatever_their_photo_is(
    rows: Enrolment, photo: PhotoRecord, returned: dict[int, str], whole: bool
) -> None:
    assert plan_of(knowing(crew(1, 2), {1: rows, 2: row(2)}, {1: photo}, whole=whole)).returned == returned


# --------------------------------------------------------------------------------------------------------- leavers


def test_a_person_no_longer_in_the_roster_is_to_be_deactivated() -> None:
    enrolments = gallery_of(20) | {20: row(20, active=False)}
    plan = plan_of(knowing(crew(*range(19)), enrolments, {21: seen(21)}))
    assert plan.of(DEACTIVATE) == [Decision(DEACTIVATE, LEFT, Case(CrewMember("19", ""), "", row(19)))]
    assert (plan.departed, plan.blocked, plan.gallery_size) == (["19", "20", "21"], [], 20)


def test_a_member_without_a_usable_photo_has_not_left() -> None:
    broken = Failed(CrewMember("1", ""), "roster", "no_photo")
    plan = plan_of(knowing([broken], {1: row(1)}))
    assert (leaving(plan), plan.departed) == ({DEACTIVATE: [], PURGE: []}, [])


def test_a_run_for_some_says_nothing_of_the_others() -> None:
    plan = plan_of(knowing(crew(1), gallery_of(5), {4: left(4, 9 * MONTH)}, whole=False), rules=PURGING)
    assert (leaving(plan), plan.departed, plan.blocked) == ({DEACTIVATE: [], PURGE: []}, [], [])


@pytest.mark.parametrize(
    ("gallery", "leavers", "allowed"),
    [
        *((1, 1, False), (2, 1, True), (3, 2, False), (5, 1, True)),  # no one is left of the first
        *((20, 2, True), (20, 3, False), (19, 2, False)),
        *((70, 7, True), (1000, 100, True), (1000, 101, False), (1000, 1000, False)),
    ],
)
def test_up_to_a_tenth_of_the_gallery_or_one_may_leave_at_once(gallery: int, leavers: int, allowed: bool) -> None:
    survey = knowing(crew(*range(leavers, gallery)), gallery_of(gallery))
    everybody = sorted(str(number) for number in range(leavers))
    why = f"Son {leavers} de {gallery} personas, más del 10%"
    if leavers == gallery:
        why = f"El padrón llegó vacío y faltan {leavers} de {gallery} personas"
    sentence = (
        f"No se desactivó a quien falta en el padrón. {why} ({named(everybody)}): revíselo; "
        "si de verdad se fueron, repita con --allow-mass-change."
    )
    plan = plan_of(survey)
    assert plan.held_back == ([] if allowed else everybody)
    assert leaving(plan)[DEACTIVATE] == (everybody if allowed else [])
    assert (plan.blocked, sorted(plan.departed)) == (([], everybody) if allowed else ([sentence], []))
    assert leaving(plan_of(survey, rules=ALLOWED)) == {DEACTIVATE: everybody, PURGE: []}
    assert plan_of(survey, rules=ALLOWED).blocked == []


def test_inactive_rows_are_no_part_of_the_gallery_that_people_leave() -> None:
    enrolments = gallery_of(20) | {number: row(number, active=False) for number in range(20, 100)}
    plan = plan_of(knowing(crew(*range(3, 20)), enrolments))
    assert plan.blocked == [
        "No se desactivó a quien falta en el padrón. Son 3 de 20 personas, más del 10% (0, 1, 2): revíselo; "
        "si de verdad se fueron, repita con --allow-mass-change."
    ]


def test_a_roster_that_comes_back_empty_is_not_believed() -> None:
    enrolments = gallery_of(1) | {1: row(1, active=False)}
    survey = knowing([], enrolments, {1: left(1, 2 * MONTH)})
    plan = plan_of(survey, rules=PURGING)
    assert plan.decisions == []
    assert plan.blocked == [
        "No se desactivó a quien falta en el padrón. El padrón llegó vacío y faltan 1 de 1 personas (0): revíselo; "
        "si de verdad se fueron, repita con --allow-mass-change."
    ]
    allowed = plan_of(survey, rules=replace(PURGING, allow_mass_change=True))
    assert (leaving(allowed), allowed.blocked) == ({DEACTIVATE: ["0"], PURGE: ["1"]}, [])


def test_of_an_empty_gallery_nothing_is_held_back() -> None:
    plan = plan_of(knowing([], {}))
    assert (plan.decisions, plan.blocked, plan.departed) == ([], [], [])


def test_those_who_left_long_enough_ago_are_to_be_deleted() -> None:
    enrolments = gallery_of(40) | {number: row(number, active=False) for number in (40, 41)}
    photo_record = {40: left(40, MONTH), 41: left(41, MONTH - SECOND), 42: left(42, 2 * MONTH), 43: seen(43)}
    survey = knowing(crew(*range(40)), enrolments, photo_record)
    plan = plan_of(survey, rules=PURGING)
    assert plan.of(PURGE) == [
        Decision(
            PURGE,
            "falta en el padrón desde el 2026-01-31",
            Case(CrewMember("40", ""), "", row(40, active=False), left(40, MONTH)),
        ),
        Decision(
            PURGE,
            "falta en el padrón desde el 2026-01-01",
            Case(CrewMember("42", ""), "", None, left(42, 2 * MONTH)),
        ),
    ]
    assert leaving(plan_of(survey)) == {DEACTIVATE: [], PURGE: []}


def test_people_who_are_back_or_still_active_are_not_deleted() -> None:
    """A row that another program reactivated is deactivated again first."""
    enrolments = gallery_of(30) | {30: row(30), 31: row(31, active=False)}
    photo_record = {30: left(30, 9 * MONTH), 31: left(31, 9 * MONTH)}
    plan = plan_of(knowing(crew(*range(30), 31), enrolments, photo_record), rules=PURGING)
    assert leaving(plan) == {DEACTIVATE: ["30"], PURGE: []}


@pytest.mark.parametrize(
    ("known", "purged", "allowed"), [(2, 1, True), (10, 2, False), (40, 2, True), (39, 2, False), (40, 3, False)]
)
def test_up_to_a_twentieth_or_one_may_be_deleted_at_once(known: int, purged: int, allowed: bool) -> None:
    enrolments = gallery_of(known) | {number: row(number, active=False) for number in range(purged)}
    photo_record = {number: left(number, 2 * MONTH) for number in range(purged)}
    survey = knowing(crew(*range(purged, known)), enrolments, photo_record)
    everybody = [str(number) for number in range(purged)]
    plan = plan_of(survey, rules=PURGING)
    sentence = (
        f"No se borró a quien falta en el padrón. Son {purged} de {known} personas, más del 5% ({named(everybody)}): "
        "revíselo; si de verdad se fueron, repita con --allow-mass-change."
    )
    assert plan.held_back == ([] if allowed else everybody)
    assert (leaving(plan)[PURGE], plan.blocked) == ((everybody, []) if allowed else ([], [sentence]))
    assert leaving(plan_of(survey, rules=replace(PURGING, allow_mass_change=True)))[PURGE] == everybody


# ---------------------------------------------------------------------------------------------------- a sick server


def ask_with(
    unreachable: set[int], kind: str = ANSWER_UNREACHABLE
) -> tuple[Callable[[CrewMember, Version], Answer], list[str]]:
    """A server that does not answer these of the questions, counted from 1, and whom it was asked about."""
    asked: list[str] = []

    def ask(member: CrewMember, version: Version) -> Answer:
        asked.append(member.crew_id)
        return Answer(kind, detail="tarda") if len(asked) in unreachable else SAME

    return ask, asked


EVERYBODY = knowing(crew(*range(100)), gallery_of(100))


@pytest.fixture(params=[3, ASKED_AT_ONCE])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many questions are handed out at once: few, as of a long roster, or all."""
    monkeypatch.setattr(planner, "ASKED_AT_ONCE", request.param)
    return int(request.param)


def test_of_many_questions_few_are_handed_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would all lie in memory."""
    monkeypatch.setattr(planner, "ASKED_AT_ONCE", 5)
    taken = []

    def told(done: int, total: int) -> None:
        taken.append(done)

    def ask(member: CrewMember, version: Version) -> Answer:
        asked.append(member.crew_id)
        ahead.append(len(asked) - len(taken))
        return SAME

    asked: list[str] = []
    ahead: list[int] = []
    assert plan_of(EVERYBODY, ask, told=told).asked == 100
    assert max(ahead) <= 2 * 5


@pytest.mark.parametrize("rules", [RULES, FORCE])
def test_members_of_whom_there_is_nothing_to_do_are_only_counted(rules: Rules) -> None:
    """The plan is otherwise the same, however slowly the server answers about some."""

    def ask(member: CrewMember, version: Version) -> Answer:
        if member.crew_id in ("3", "40"):
            time.sleep(0.2)
        return {"7": Answer(ANSWER_CHANGED), "8": Answer(ANSWER_UNREACHABLE, detail="tarda")}.get(member.crew_id, SAME)

    records = {number: seen(number) for number in range(100)}
    records |= {number: replace(records[number], checked_at=NOW) for number in range(50, 90)}  # not asked about
    records |= {95: seen(95, improvable="Sharpness"), 96: seen(96, code="no_face")}
    survey = knowing(crew(*range(98, -1, -1), 100), gallery_of(100), records)
    whole, short = (plan_of(survey, ask, rules, settle=settle) for settle in (False, True))
    kept = {member.crew_id for member, _ in short.settled}
    assert short.decisions == [each for each in whole.decisions if each.member.crew_id not in kept]
    assert [(each.member, each.reason) for each in whole.decisions if each.member.crew_id in kept] == [*short.settled]
    assert (short.counts, short.asked, short.unchecked) == (whole.counts, whole.asked, whole.unchecked)
    assert sorted(dict(short.versions)) == sorted(dict(whole.versions))
    assert len(short.decisions) == (101 if rules.force else 6)  # 7, 8, 95, 96, 99 departed and 100 new


@pytest.mark.parametrize("kind", [ANSWER_UNREACHABLE, ANSWER_FORBIDDEN])
def test_a_server_that_leaves_three_of_the_first_four_questions_unanswered_is_down(kind: str, at_once: int) -> None:
    ask, _ = ask_with(set(range(1, 16)), kind)
    leaving_one = knowing(crew(*range(1, 100)), gallery_of(100))
    plan = plan_of(leaving_one, ask, threads=1)
    assert str(plan.implausible) == "El servidor de fotos no respondió bien 15 de 20 veces (la última: tarda)"
    # Departed people need no photo.
    assert plan.of(DEACTIVATE) and (kind == ANSWER_FORBIDDEN or plan.counts == {UNCHANGED: 99, DEACTIVATE: 1})


@pytest.mark.parametrize("unreachable", [set(range(1, 15)), set(range(PROBED + 1, 2 * PROBED))])
def test_a_server_that_answers_enough_of_the_first_questions_is_asked_all(unreachable: set[int]) -> None:
    """Members whom it did not answer about stay as they are."""
    ask, asked = ask_with(unreachable)
    plan = plan_of(EVERYBODY, ask, threads=1)
    assert (len(asked), plan.counts, len(plan.versions)) == (100, {UNCHANGED: 100}, 100 - len(unreachable))


def test_a_server_that_stops_answering_later_is_asked_no_further(at_once: int) -> None:
    ask, _ = ask_with(set(range(41, 101)))
    plan = plan_of(EVERYBODY, ask, threads=1)
    assert str(plan.implausible) == "El servidor de fotos no respondió bien 20 de 60 veces (la última: tarda)"


def test_few_questions_make_no_suspicion() -> None:
    ask, _ = ask_with(set(range(PROBED)))
    assert plan_of(knowing(crew(*range(19)), gallery_of(19)), ask).counts == {UNCHANGED: 19}


def test_with_mass_changes_allowed_nothing_is_implausible() -> None:
    ask, _ = ask_with(set(range(1, 101)))
    assert plan_of(EVERYBODY, ask, ALLOWED).counts == {UNCHANGED: 100}


def test_a_question_that_a_stop_breaks_off_is_no_failed_check(at_once: int) -> None:
    stop = threading.Event()

    def ask(member: CrewMember, version: Version) -> Answer:
        stop.set()
        return Answer(ANSWER_UNREACHABLE)

    plan = plan_of(EVERYBODY, ask, stop=stop, threads=1)
    assert (plan.asked, plan.unchecked) == (0, {})


def test_told_to_stop_it_asks_no_further(at_once: int) -> None:
    stop, asked = threading.Event(), []

    def ask(member: CrewMember, version: Version) -> Answer:
        asked.append(member.crew_id)
        if len(asked) == 5:
            stop.set()
        return SAME

    plan = plan_of(EVERYBODY, ask, stop=stop, threads=1)
    assert (len(asked), len(plan.versions), plan.counts) == (5, 5, {UNCHANGED: 100})
