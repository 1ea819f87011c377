"""When a run stops before it does harm: outcomes in, suspicions out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from app.errors import ImplausibleRun
from app.records import CrewMember, Failed, Outcome, Photo, Skipped, Stored
from app.runs.abort_guard import PROBATION, AbortGuard

STAGES = {
    "photo_not_found": "download",
    "photo_unavailable": "download",
    "invalid_image": "decode",
    "no_face": "detect",
    "no_photo": "roster",
}
ANYWAY = "Si de verdad es así, repita con --allow-mass-change."


def member(number: int) -> CrewMember:
    return CrewMember(str(number), "a.jpg")


def photo(number: int, sha256: str) -> Photo:
    return Photo(member(number), f"http://fotos/{number}/a.jpg", Path("a.jpg"), sha256=sha256)


def failed(code: str, numbers: Iterable[int], sha256: str = "") -> list[Outcome]:
    """One for each; those that came as far as a file have the same, or each a file of its own."""
    fetched = STAGES[code] not in ("download", "roster")
    return [
        Failed(member(each), STAGES[code], code, photo=photo(each, sha256 or f"file {each}") if fetched else None)
        for each in numbers
    ]


def stored(numbers: Iterable[int]) -> list[Outcome]:
    return [Stored(member(each), each, photo=photo(each, f"file {each}")) for each in numbers]


def suspicion(abort_guard: AbortGuard, outcomes: Iterable[Outcome]) -> tuple[int, str, str]:
    """After how many outcomes there was one, what it says, and what to do."""
    for count, outcome in enumerate(outcomes, start=1):
        try:
            abort_guard.saw(outcome)
        except ImplausibleRun as error:
            return count, str(error), error.advice
    return 0, "", ""


def fresh(in_gallery: Iterable[int] = (), answered: int = 0, *, armed: bool = True) -> AbortGuard:
    return AbortGuard([str(each) for each in in_gallery], {}, answered, armed=armed)


CALM = (0, "", "")
CHECK = f"Compruebe IMAGE_BASE_URL abriendo en un navegador la foto de alguien. {ANYWAY}"
NOT_FOUND = "de las primeras 20 fotos fallan igual (Imagen no encontrada): parece que la dirección de las fotos cambió"
ONE_FILE = (
    "de las primeras 20 fotos son un mismo archivo: parece que el servidor entrega a todos una página de inicio de "
    "sesión o una imagen de relleno"
)
OPEN = f"Abra en un navegador la foto de alguien. {ANYWAY}"
LOST = (
    "personas que ya tenían un buen embedding fallan ahora: parece que cambiaron las fotos de todos, o que el programa "
    "ya no las lee bien"
)
LOOK = f"Mire algunas de esas fotos. Los embeddings que había siguen como estaban. {ANYWAY}"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (stored(range(5)) + failed("photo_not_found", range(5, 20)), (20, f"15 {NOT_FOUND}", CHECK)),
        (stored(range(6)) + failed("photo_not_found", range(6, 20)), CALM),
        (failed("photo_not_found", range(19)), CALM),
        (failed("photo_not_found", range(20)), (20, f"20 {NOT_FOUND}", CHECK)),
        (
            failed("photo_unavailable", range(1, 17)) + stored([0]) + failed("photo_unavailable", range(17, 20)),
            (
                20,
                "19 de las primeras 20 fotos fallan igual (Imagen no disponible): parece que el servidor de fotos está "
                "caído",
                "Compruebe el servidor y vuelva a ejecutar.",
            ),
        ),
        (
            failed("invalid_image", range(20)),
            (
                20,
                "20 de las primeras 20 fotos fallan igual (No es una imagen válida): parece que el servidor no entrega "
                "fotos",
                CHECK,
            ),
        ),
        (failed("photo_not_found", range(10)) + failed("invalid_image", range(10, 20)), CALM),
        (failed("no_face", range(20)), CALM),  # bad photos, each another: people's own fault
        (failed("no_photo", range(20)), CALM),
    ],
)
def test_most_of_the_first_photos_failing_alike_is_suspicious(
    outcomes: list[Outcome], expected: tuple[int, str, str]
) -> None:
    assert suspicion(fresh(), outcomes) == expected


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (stored(range(5)) + failed("no_face", range(5, 20), "login"), (20, f"15 {ONE_FILE}", OPEN)),
        (stored(range(6)) + failed("no_face", range(6, 20), "login"), CALM),
        (failed("invalid_image", range(20), "login"), (20, f"20 {ONE_FILE}", OPEN)),
    ],
)
def test_most_of_the_first_photos_being_one_file_is_suspicious(
    outcomes: list[Outcome], expected: tuple[int, str, str]
) -> None:
    assert suspicion(fresh(), outcomes) == expected


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (failed("no_face", range(20)), (20, f"20 de 20 {LOST}", LOOK)),
        (failed("no_face", range(19)), CALM),
        (stored(range(5)) + failed("no_face", range(5, 20)), (20, f"15 de 20 {LOST}", LOOK)),
        (stored(range(6)) + failed("no_face", range(6, 20)), CALM),
        (stored(range(25)) + failed("no_face", range(25, 100)), (100, f"75 de 100 {LOST}", LOOK)),  # and at any time
        (failed("no_face", range(100, 200)) + failed("no_face", range(19)), CALM),  # new people had nothing to lose
    ],
)
def test_most_of_those_who_had_a_good_row_failing_is_suspicious(
    outcomes: list[Outcome], expected: tuple[int, str, str]
) -> None:
    assert suspicion(fresh(in_gallery=range(100)), outcomes) == expected


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        (failed("photo_not_found", range(20)), f"20 {NOT_FOUND}"),
        (failed("invalid_image", range(20), "login"), f"20 {ONE_FILE}"),
    ],
)
def test_of_several_suspicions_the_one_that_says_why_is_told(outcomes: list[Outcome], sentence: str) -> None:
    """All of them have a good row, too."""
    assert suspicion(fresh(in_gallery=range(20)), outcomes)[1] == sentence


def test_a_server_that_stops_answering_is_noticed_at_any_time() -> None:
    fine = stored(range(100))
    down = (
        "El servidor de fotos dejó de responder bien: 20 descargas seguidas fallaron",
        "Compruebe el servidor y vuelva a ejecutar: continuará donde quedó. Si redirige a otro sitio, ponga en "
        "IMAGE_BASE_URL la dirección definitiva.",
    )
    silent = failed("photo_unavailable", range(100, 120))
    assert suspicion(fresh(), fine + silent) == (120, *down)
    assert suspicion(fresh(), fine + silent[:19]) == CALM
    for other in (stored([200]), failed("no_face", [200]), [Skipped(member(200), "same_file")]):
        assert suspicion(fresh(), fine + silent[:19] + other + silent[19:]) == CALM


def test_many_new_people_without_photos_are_no_reason_when_the_first_went_well() -> None:
    assert suspicion(fresh(), stored(range(20)) + failed("photo_not_found", range(20, 220))) == CALM
    assert suspicion(fresh(in_gallery=range(20)), stored(range(20)) + failed("no_face", range(20, 220), "x")) == CALM


def test_photos_that_the_server_spoke_for_count_as_well() -> None:
    """Of a thousand that have not changed twenty new ones may well be missing."""
    missing = failed("photo_not_found", range(20))
    assert suspicion(fresh(answered=1000), missing) == CALM
    assert suspicion(fresh(answered=6), missing)[0] == 20
    assert suspicion(fresh(answered=7), missing) == CALM


def test_members_through_to_their_vectors_count_before_they_are_stored() -> None:
    abort_guard = fresh()
    for each in range(6):
        abort_guard.embedded(photo(each, f"file {each}"))
    assert suspicion(abort_guard, failed("photo_not_found", range(6, 20))) == CALM
    abort_guard = fresh()
    for each in range(5):
        abort_guard.embedded(photo(each, f"file {each}"))
    assert suspicion(abort_guard, failed("photo_not_found", range(5, 20))) == (15, f"15 {NOT_FOUND}", CHECK)


def test_writing_begins_when_enough_people_were_looked_at_each_counted_once() -> None:
    abort_guard = fresh(in_gallery=[99])
    for each in range(10):
        abort_guard.embedded(photo(each, f"file {each}"))
    for each in range(10):
        abort_guard.embedded(photo(each, f"file {each}"))
    for outcome in failed("no_face", range(10, 19)) + stored(range(10)):
        abort_guard.saw(outcome)
    assert not abort_guard.is_satisfied()
    abort_guard.saw(Skipped(member(PROBATION), "reencoded"))
    assert abort_guard.is_satisfied()


def test_without_a_row_that_could_be_harmed_writing_begins_at_once() -> None:
    assert fresh().is_satisfied()
    assert not fresh(in_gallery=[1]).is_satisfied()


@pytest.mark.parametrize("code", ["photo_not_found", "photo_unavailable", "invalid_image", "no_face"])
def test_one_that_is_not_armed_suspects_nothing_and_holds_nothing_back(code: str) -> None:
    abort_guard = fresh(in_gallery=range(200), armed=False)
    assert abort_guard.is_satisfied()
    assert suspicion(abort_guard, failed(code, range(200), "login")) == CALM


@pytest.mark.parametrize("code", ["photo_not_found", "photo_unavailable"])
def test_a_member_who_fails_as_in_an_earlier_run_does_not_count(code: str) -> None:
    known = {str(number): code for number in range(40)}
    abort_guard = AbortGuard(known, known, 0, armed=True)
    assert suspicion(abort_guard, failed(code, range(40))) == CALM
    other = {str(number): "no_face" for number in range(40)}
    assert suspicion(AbortGuard(other, other, 0, armed=True), failed(code, range(40)))[0] == PROBATION


def test_one_file_served_to_all_is_implausible_although_no_member_fails() -> None:
    """As with SHARED_PHOTOS=report."""
    abort_guard = fresh(range(PROBATION))
    for each in range(PROBATION):
        abort_guard.embedded(photo(each, "the same"))
    with pytest.raises(ImplausibleRun, match="son un mismo archivo"):
        abort_guard.is_satisfied()
