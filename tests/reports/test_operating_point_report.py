"""The advice of --operating-point: what it may say of few people, of many, and in which words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from app.recognition.distances import UnitTemplates
from app.recognition.match import accepted_distance
from app.recognition.operating_point import Basis, Figure, find_operating_point
from app.recognition.scan import scan_gallery
from app.reports.operating_point_page import render_operating_point, with_band
from app.reports.operating_point_report import (
    Measured,
    advice_words,
    advised_threshold,
    curve_up_to,
    operating_point_lines,
    plain_words,
    say_bound,
    say_figure,
    say_rate,
    say_taken,
)
from tests.recognition.galleries import random_vectors

SHOWN = (0.2, 0.3, 0.4)


def measure(
    vectors: np.ndarray,
    threshold: float = 0.4,
    wish: float = 0.01,
    least_confidence: float = 0.7,
    people: int | None = None,
) -> Measured:
    gallery = UnitTemplates.of(vectors)
    rows = sorted({*SHOWN, threshold})
    point = find_operating_point(scan_gallery(gallery, threshold, rows), gallery, rows, wish, people)
    advised = advised_threshold(point, threshold)
    return Measured(
        point, threshold, least_confidence, "Facenet512", advised, curve_up_to(max(rows[-1], advised or 0)), None
    )


def test_few_people_whom_nothing_confuses_are_no_reason_for_a_higher_threshold() -> None:
    measured = measure(random_vectors(6))
    assert measured.point.recommended.point > 0.5  # the nearest pair is there
    assert measured.advised == 0.4
    *words, setting = advice_words(measured)
    assert setting == "FACE_DISTANCE_THRESHOLD=0.4"
    assert "Con 6 personas no se puede asegurar que a lo más el 1 %" in " ".join(words)


def test_few_people_of_whom_two_are_alike_are_a_reason_for_a_lower_one() -> None:
    vectors = random_vectors(6)
    vectors[1] = vectors[0] + 0.7 * vectors[1]
    measured = measure(vectors)
    nearest = float(measured.point.scan.nearest_distances.min())
    assert measured.advised is not None
    assert nearest - 0.002 < measured.advised < nearest < 0.4
    assert "compruébelo con --probes" in " ".join(advice_words(measured))


@pytest.mark.parametrize("people", [None, 60, 900])
def test_a_stricter_wish_never_gives_a_laxer_threshold(people: int | None) -> None:
    vectors = random_vectors(300, size=64)
    wishes = (0.3, 0.1, 0.06, 0.04, 0.03, 0.02, 0.015, 0.01, 0.005, 0.001)
    advised = [measure(vectors, wish=wish, people=people).advised or 0.0 for wish in wishes]
    assert advised == sorted(advised, reverse=True)
    assert len({*advised}) > 1


def test_two_people_at_one_place_leave_nothing_to_advise_and_the_line_says_so() -> None:
    vectors = random_vectors(6)
    vectors[1] = vectors[0]
    *words, setting = advice_words(measure(vectors))
    assert setting == "FACE_DISTANCE_THRESHOLD=0.4"
    assert words[-1] == "No hay ningún umbral que aconsejar. Este es el de ahora, no un consejo:"


def test_people_enough_are_advised_whatever_the_setting() -> None:
    measured = measure(random_vectors(300, size=64), threshold=0.1, wish=0.2)
    assert measured.advised is not None
    assert measured.advised > 0.1
    assert "asegurado al 95 %" in next(advice_words(measured))


@pytest.mark.parametrize(("least_confidence", "settings"), [(0.5, 1), (0.9, 2)])
def test_a_confidence_that_would_overrule_the_advice_is_advised_too(least_confidence: float, settings: int) -> None:
    measured = measure(random_vectors(300, size=64), wish=0.2, least_confidence=least_confidence)
    lines = [line for line in advice_words(measured) if re.fullmatch(r"FACE_\w+=[0-9.]+", line)]
    assert len(lines) == settings
    values = [float(line.split("=")[1]) for line in lines]
    assert accepted_distance(values[0], values[-1] if settings > 1 else least_confidence) == values[0]


@pytest.mark.parametrize(
    ("rate", "said"), [(0.4612, "47 %"), (0.0096, "0,96 %"), (0.00961, "0,97 %"), (0.999, "100 %"), (0.0, "0 %")]
)
def test_a_bound_is_rounded_up(rate: float, said: str) -> None:
    assert say_bound(rate) == said


def test_two_people_say_nothing_of_strangers() -> None:
    measured = measure(random_vectors(2))
    assert "no se puede decir cuántos" in next(plain_words(measured))
    assert "menos de 100 %" not in "\n".join(operating_point_lines(measured))
    assert say_figure(Figure(None, 0.0, 1.0, Basis.REFUSED)) == "no se sabe"


@pytest.mark.parametrize(
    ("fpir", "people", "said"),
    [
        (Figure(0.0613, 0.024, 0.147, Basis.MEASURED), 66, "unos 61 (entre 24 y 147) serían tomados por una de las 66"),
        (Figure(0.0011, 0.0, 0.003, Basis.MEASURED), 66, "ante la cámara, 1 (entre 0 y 3) sería tomado por una"),
        (Figure(0.0004, 0.0, 0.003, Basis.MEASURED), 66, "menos de 1 (a lo más 3) sería tomado"),
        (Figure(None, 0.0, 0.0008, Basis.REFUSED), 66, "menos de 1 sería tomado"),
        (Figure(None, 0.0, 0.5615, Basis.REFUSED), 1, "menos de 562 serían tomados por la única persona inscrita."),
        (Figure(None, 0.0014, 0.011, Basis.REFUSED), 66, "entre 1 y 11 serían tomados"),
        (Figure(None, 0.0, 1.0, Basis.REFUSED), 2, "no se puede decir cuántos"),
    ],
)
def test_a_rate_is_said_as_so_many_strangers(fpir: Figure, people: int, said: str) -> None:
    assert said in say_taken(fpir, people)


def drawn(measured: Measured, style: str) -> list[str]:
    """Return the paths of a style, plot by plot."""
    return re.findall(rf'<path class="{style}" d="([^"]*)"', render_operating_point(measured))


def test_the_drawing_reaches_an_advised_threshold_beyond_the_rows() -> None:
    measured = measure(random_vectors(300), wish=0.2)
    assert measured.advised is not None
    assert measured.advised > SHOWN[-1] > measured.point.scan.grid[-2]
    of_fpir, _of_fmr = drawn(measured, "line")
    assert len(of_fpir.split("L")) > 5
    assert of_fpir.split("L")[-1].startswith("190 ")  # the right end, where the mark is


def test_a_rate_below_the_axis_is_not_drawn_on_it() -> None:
    figures = [(0.1, Figure(1e-9, 0.0, 1e-7, Basis.MEASURED)), (0.2, Figure(1e-7, 0.0, 1e-6, Basis.MEASURED))]
    band, line = with_band(figures)
    assert (band.points, line.points) == (((0.2, 1e-6),), ((0.2, 1e-7),))


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.012, "1,2 %"),
        (0.000045, "0,0045 %"),
        (0.94, "94 %"),
        (0.998, "99,8 %"),
        (0.99996, "99,996 %"),
        (1.0, "100 %"),
    ],
)
def test_less_than_all_is_not_said_to_be_all(rate: float, said: str) -> None:
    assert say_rate(rate) == said
