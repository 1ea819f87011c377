"""What is to be done about one member, kind by kind and reason by reason. No database and no server."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.errors import Retry, codes_with
from app.planning.decisions import (
    ASK,
    CHANGED,
    COMPARE,
    KNOWN_FAILURE,
    NEW,
    REACTIVATE,
    RENAMED,
    RETRY,
    SET_ASIDE,
    STALE,
    UNCHANGED,
    Case,
    Decision,
    decide,
    is_stale,
    recalled,
)
from app.planning.rules import Rules
from app.records import (
    ANSWER_CHANGED,
    ANSWER_FORBIDDEN,
    ANSWER_GONE,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    CrashSuspect,
    CrewMember,
    Enrolment,
    Failed,
    PhotoRecord,
)

NOW = datetime(2026, 3, 2, 3, 0)
SECOND, HOUR, RECHECK = timedelta(seconds=1), timedelta(hours=1), timedelta(hours=20)
ANA = CrewMember("7", "ana.jpg")
URL, OLD_URL = "http://fotos/7/ana.jpg", "http://fotos/7/antes.jpg"
RULES = Rules("Facenet512", "c0ffee", 512, "rules1", NOW, RECHECK)
FORCE, INSIST, FULL = replace(RULES, force=True), replace(RULES, insist=True), replace(RULES, compare=True)

ROW = Enrolment(11, "Facenet512", URL, (11,), (11,), known=True, spec_digest="c0ffee", sha256="aa")
RESTING = replace(ROW, active_ids=())
STRANGER = Enrolment(11, "Facenet512", URL, (11,), (11,), dimensions=512)
OTHER_MODEL, OTHER_WEIGHTS = replace(ROW, model="Facenet"), replace(ROW, spec_digest="beef")

SEEN = PhotoRecord(URL, sha256="aa", tried_at=NOW - 9 * RECHECK, checked_at=NOW - RECHECK)
RECENT = replace(SEEN, checked_at=NOW - RECHECK + SECOND)
BACK, BACK_RECENT = replace(SEEN, left_at=NOW - 30 * RECHECK), replace(RECENT, left_at=NOW - RECHECK)
NO_FACE = replace(SEEN, code="no_face", stage="detect", detail="ninguna cara", judged_by="rules1", failures=1)
NOT_FOUND = replace(NO_FACE, code="photo_not_found", stage="download", detail="404")
LATER = replace(NOT_FOUND, tried_at=NOW - HOUR + SECOND)
UNAVAILABLE = replace(NO_FACE, code="photo_unavailable", tried_at=NOW)

SUSPECT, KILLER = CrashSuspect(URL, 1), CrashSuspect(URL, 2)
ANSWERS = (ANSWER_SAME, ANSWER_CHANGED, ANSWER_UNKNOWN, ANSWER_GONE, ANSWER_FORBIDDEN, ANSWER_UNREACHABLE)

NO_ROW = "no tiene embedding activo"
FORCED = "se pidió regenerar (--force)"
JUST_CHECKED = "se comprobó hace poco"
BAD_JUST_CHECKED = "la foto falló y se comprobó hace poco"
MOVED = "la foto está en otra dirección; si es la misma, solo se anota"
FULLY = "se compara su contenido (--refresh full)"
WEIGHTS = "su vector se hizo con otra versión de los pesos, del detector o de la preparación"
DIED = "2 ejecuciones murieron mientras se procesaba"
AGAIN = "falló 1 veces seguidas; le toca otro intento"
NO_VOICE = "el servidor no dice si la foto cambió (--refresh full compara su contenido)"
NO_ANSWER = "el servidor no respondió al preguntarle por la foto"


def case(
    enrolment: Enrolment | None = None, photo_record: PhotoRecord | None = None, suspect: CrashSuspect | None = None
) -> Case:
    return Case(ANA, URL, enrolment, photo_record, suspect)


BEFORE_ASKING = [
    # without a row
    (case(), RULES, NEW, NO_ROW),
    (case(None, SEEN), RULES, NEW, NO_ROW),
    (case(RESTING, SEEN), RULES, NEW, NO_ROW),  # the service laid it to rest, not the roster
    (case(RESTING), RULES, NEW, NO_ROW),
    (case(None, BACK), RULES, NEW, NO_ROW),
    # with one
    (case(ROW, SEEN), RULES, ASK, ""),
    (case(ROW), RULES, ASK, ""),
    (case(STRANGER), RULES, ASK, ""),
    (case(ROW, replace(SEEN, checked_at=None)), RULES, ASK, ""),
    (case(ROW, RECENT), RULES, UNCHANGED, JUST_CHECKED),
    (case(replace(ROW, active_ids=(11, 12)), RECENT), RULES, CHANGED, "tiene 2 filas activas: quedará una"),
    (case(OTHER_MODEL, RECENT), RULES, STALE, "su vector es de Facenet"),
    (case(replace(ROW, model=""), RECENT), RULES, STALE, "su vector es de un modelo desconocido"),
    (case(OTHER_WEIGHTS, RECENT), RULES, STALE, WEIGHTS),
    (case(replace(STRANGER, dimensions=128), RECENT), RULES, STALE, "su vector tiene 128 números"),
    (case(replace(ROW, url=OLD_URL), RECENT), RULES, RENAMED, MOVED),
    (case(ROW, RECENT), FULL, COMPARE, FULLY),
    (case(ROW, replace(RECENT, sha256="bb")), RULES, CHANGED, "la última foto que se vio es otra"),
    (case(replace(ROW, sha256=""), replace(RECENT, sha256="bb")), RULES, UNCHANGED, JUST_CHECKED),
    (case(ROW, replace(RECENT, sha256="")), RULES, UNCHANGED, JUST_CHECKED),
    # the graver reason is told
    (case(replace(OTHER_MODEL, url=OLD_URL), RECENT), FULL, STALE, "su vector es de Facenet"),
    (case(replace(ROW, url=OLD_URL), RECENT), FULL, RENAMED, MOVED),
    # back in the roster
    (case(RESTING, BACK_RECENT), RULES, REACTIVATE, "volvió al padrón; se comprobó hace poco"),
    (case(ROW, BACK_RECENT), RULES, UNCHANGED, JUST_CHECKED),  # another program reactivated it
    (case(RESTING, BACK), RULES, ASK, ""),
    (case(replace(RESTING, spec_digest="beef"), BACK), RULES, STALE, WEIGHTS),
    (case(replace(RESTING, url=OLD_URL), BACK), RULES, RENAMED, MOVED),
    # asked for
    (case(), FORCE, NEW, FORCED),
    (case(RESTING, BACK), FORCE, NEW, FORCED),
    (case(ROW, RECENT), FORCE, CHANGED, FORCED),
    (case(ROW, NO_FACE, KILLER), FORCE, CHANGED, FORCED),
    (case(ROW, RECENT), INSIST, UNCHANGED, JUST_CHECKED),
    # failures of the photo
    (case(None, NO_FACE), RULES, ASK, ""),
    (case(ROW, NO_FACE), RULES, ASK, ""),  # an older photo's row stays
    (case(None, replace(NO_FACE, checked_at=RECENT.checked_at)), RULES, KNOWN_FAILURE, BAD_JUST_CHECKED),
    (
        case(None, replace(NO_FACE, url=OLD_URL)),
        RULES,
        RETRY,
        "falló, y ahora tiene otra foto o está en otra dirección",
    ),
    (case(None, NO_FACE), INSIST, RETRY, "falló, y se pidió reintentar"),
    (case(None, replace(NO_FACE, judged_by="rules0")), RULES, RETRY, "falló con otra configuración u otro modelo"),
    (case(None, NO_FACE), FULL, RETRY, FULLY),
    (case(None, replace(NO_FACE, code="took_too_long")), RULES, ASK, ""),
    (case(STRANGER, NO_FACE), RULES, ASK, ""),  # by its row, which another program has made since
    (case(STRANGER, replace(NO_FACE, checked_at=NOW)), RULES, UNCHANGED, JUST_CHECKED),
    # failures of the server
    (case(None, UNAVAILABLE), RULES, RETRY, "el servidor de fotos no respondió la última vez"),
    (case(None, NOT_FOUND), RULES, RETRY, AGAIN),
    (case(None, replace(NOT_FOUND, tried_at=None)), RULES, RETRY, AGAIN),
    (case(None, LATER), RULES, KNOWN_FAILURE, "se reintentará a partir del 02/03/2026 03:00"),
    (case(None, LATER), FULL, KNOWN_FAILURE, "se reintentará a partir del 02/03/2026 03:00"),
    (case(None, LATER), INSIST, RETRY, "falló, y se pidió reintentar"),
    # the death of runs
    (case(replace(ROW, model="Dlib"), RECENT, KILLER), RULES, SET_ASIDE, DIED),
    (case(ROW, RECENT, KILLER), RULES, UNCHANGED, "se comprobó hace poco"),  # nothing is to be processed
    (case(None, None, KILLER), FULL, SET_ASIDE, DIED),
    (case(None, None, SUSPECT), RULES, NEW, NO_ROW),
    (case(None, None, replace(KILLER, url=OLD_URL)), RULES, NEW, NO_ROW),
    (case(None, None, KILLER), INSIST, NEW, NO_ROW),
]


@pytest.mark.parametrize(("known", "rules", "kind", "reason"), BEFORE_ASKING)
def test_each_case_has_its_decision_and_says_why(known: Case, rules: Rules, kind: str, reason: str) -> None:
    decision = decide(known, rules)
    assert (decision.kind, decision.reason, decision.case, decision.member) == (kind, reason, known, ANA)
    assert (decision.failure is not None) == (kind in (KNOWN_FAILURE, SET_ASIDE))


BY_ANSWER = [
    (
        case(ROW, SEEN),
        {
            ANSWER_SAME: (UNCHANGED, "la foto no ha cambiado"),
            ANSWER_CHANGED: (CHANGED, "la foto cambió"),
            ANSWER_UNKNOWN: (UNCHANGED, NO_VOICE),
            ANSWER_GONE: (CHANGED, "la foto ya no está"),
            ANSWER_FORBIDDEN: (CHANGED, "el servidor ya no deja ver la foto"),
            ANSWER_UNREACHABLE: (UNCHANGED, NO_ANSWER),
        },
    ),
    (
        case(RESTING, BACK),
        {
            ANSWER_SAME: (REACTIVATE, "volvió al padrón; la foto no ha cambiado"),
            ANSWER_CHANGED: (CHANGED, "la foto cambió"),
            ANSWER_UNKNOWN: (REACTIVATE, f"volvió al padrón; {NO_VOICE}"),
            ANSWER_GONE: (CHANGED, "la foto ya no está"),
            ANSWER_FORBIDDEN: (CHANGED, "el servidor ya no deja ver la foto"),
            ANSWER_UNREACHABLE: (REACTIVATE, f"volvió al padrón; {NO_ANSWER}"),
        },
    ),
    (
        case(None, NO_FACE),
        {
            ANSWER_SAME: (KNOWN_FAILURE, "la foto falló y no ha cambiado"),
            ANSWER_CHANGED: (RETRY, "la foto falló, y puede ser otra"),
            ANSWER_UNKNOWN: (RETRY, "la foto falló, y puede ser otra"),
            ANSWER_GONE: (RETRY, "la foto falló, y puede ser otra"),
            ANSWER_FORBIDDEN: (RETRY, "la foto falló, y puede ser otra"),
            ANSWER_UNREACHABLE: (KNOWN_FAILURE, "la foto falló, y el servidor no respondió si ahora es otra"),
        },
    ),
]


@pytest.mark.parametrize(("known", "expected"), BY_ANSWER)
def test_the_servers_answer_decides_what_was_open(known: Case, expected: dict[str, tuple[str, str]]) -> None:
    decisions = {answer: decide(known, RULES, answer) for answer in ANSWERS}
    assert {answer: (found.kind, found.reason) for answer, found in decisions.items()} == expected


@pytest.mark.parametrize(("known", "rules", "kind", "reason"), BEFORE_ASKING)
def test_no_answer_changes_what_was_decided_without_one(known: Case, rules: Rules, kind: str, reason: str) -> None:
    if kind != ASK:
        assert {(found.kind, found.reason) for found in (decide(known, rules, each) for each in ANSWERS)} == {
            (kind, reason)
        }


@pytest.mark.parametrize("code", sorted(codes_with(Retry.OTHER_PHOTO) | codes_with(Retry.UNSHARED)))
def test_a_failure_that_is_the_photos_waits_for_another_photo(code: str) -> None:
    """However long ago it was."""
    photo_record = replace(NO_FACE, code=code, tried_at=NOW - timedelta(days=999))
    assert decide(case(None, photo_record), RULES, ANSWER_SAME).kind == KNOWN_FAILURE


@pytest.mark.parametrize(
    ("failures", "hours"), [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 20), (7, 20), (36, 20), (10**6, 20)]
)
def test_any_other_is_tried_again_at_growing_intervals_up_to_a_night(failures: int, hours: int) -> None:
    due = replace(NOT_FOUND, failures=failures, tried_at=NOW - hours * HOUR)
    early = replace(due, tried_at=NOW - hours * HOUR + SECOND)
    assert [decide(case(None, each), RULES).kind for each in (due, early)] == [RETRY, KNOWN_FAILURE]


@pytest.mark.parametrize(
    ("known", "answer", "failure"),
    [
        (case(None, NO_FACE), ANSWER_SAME, Failed(ANA, "detect", "no_face", "ninguna cara", recalled=True)),
        (case(None, LATER), "", Failed(ANA, "download", "photo_not_found", "404", recalled=True)),
        (case(None, None, KILLER), "", Failed(ANA, "run", "set_aside", DIED, recalled=True)),
    ],
)
def test_a_member_who_is_not_processed_is_reported_as_failed_and_not_anew(
    known: Case, answer: str, failure: Failed
) -> None:
    assert decide(known, RULES, answer).failure == failure


def test_a_failure_is_recalled_as_it_was() -> None:
    assert recalled(ANA, NO_FACE) == Failed(ANA, "detect", "no_face", "ninguna cara", recalled=True)
    oversized = replace(NO_FACE, code="invalid_image", stage="download", detail="30 MB")  # mostly a failure of decoding
    assert recalled(ANA, oversized) == Failed(ANA, "download", "invalid_image", "30 MB", recalled=True)


@pytest.mark.parametrize(
    ("enrolment", "rules", "stale"),
    [
        (ROW, RULES, False),
        (OTHER_MODEL, RULES, True),
        (OTHER_WEIGHTS, RULES, True),
        (STRANGER, RULES, False),
        (replace(STRANGER, dimensions=None), RULES, False),
        (STRANGER, replace(RULES, dimensions=None), False),
        (replace(STRANGER, dimensions=128), RULES, True),
        (replace(STRANGER, model="ArcFace"), RULES, True),  # of the same length: only the name tells
        (replace(ROW, dimensions=128), RULES, False),  # the contract knows better
    ],
)
def test_a_row_of_another_contract_is_stale_and_one_of_none_by_model_and_length(
    enrolment: Enrolment, rules: Rules, stale: bool
) -> None:
    assert is_stale(enrolment, rules) is stale


def test_one_case_and_one_answer_always_give_the_same_decision() -> None:
    assert decide(case(ROW, SEEN), RULES, ANSWER_SAME) == Decision(
        UNCHANGED, "la foto no ha cambiado", case(ROW, SEEN), None
    )
