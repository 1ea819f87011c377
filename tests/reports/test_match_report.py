"""How --match says how many strangers would be as near."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len

from app.pipeline.probe_photos import ProbeFace, ProbePhoto
from app.recognition.match import AMBIGUOUS, RECOGNISED, Candidate, Match, MatchRules, Strangers
from app.reports.match_report import Answers, match_lines, say_strangers


@pytest.mark.parametrize(
    ("near", "asked", "said"),
    [
        (0, 1000, "menos de 1 de 1000"),
        (1, 400, "1 de 400"),
        (3, 1000, "1 de 333"),
        (3, 6, "3 de 6"),
        (300, 1000, "300 de 1000"),
        (100, 1000, "1 de 10"),
        (4, 6, "4 de 6"),  # not «1 de 2», and five not «1 de 1»
        (6, 6, "6 de 6"),
        (0, 0, ""),
    ],
)
def test_strangers_are_said_as_one_of_so_many_while_they_are_few(near: int, asked: int, said: str) -> None:
    strangers = Strangers(np.zeros(asked), 0.05, is_measured=False)
    assert say_strangers(Match(RECOGNISED, (), near), strangers) == said


@pytest.mark.parametrize(
    ("verdict", "most", "said"), [(AMBIGUOUS, 1, True), (AMBIGUOUS, 2, False), (RECOGNISED, 1, False)]
)
def test_where_a_close_second_is_hidden_the_answer_says_how_to_see_it(verdict: str, most: int, said: bool) -> None:
    photo = ProbePhoto("a.jpg", (ProbeFace(np.zeros(2, np.float32), (0, 0, 9, 9), b""),))
    match = Match(verdict, (Candidate(0, 0.04), Candidate(1, 0.05))[:most], 3)
    strangers = Strangers(np.zeros(1000), 0.05, is_measured=True)
    lines = match_lines(
        Answers([photo], [[match]], ["1", "2"], ["Eva", "Ana"], MatchRules(0.4, most), strangers, "Dlib")
    )
    assert ("suba MAX_FACE_MATCHES" in "\n".join(lines)) == said


@pytest.mark.parametrize("width", [50, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    face = ProbeFace(np.zeros(2, np.float32), (0, 0, 9, 9), b"")
    photo = ProbePhoto("/srv/fotos/evento de fin de curso/2026/tarde/IMG_20261125_0001.jpg", (face,))
    match = Match(AMBIGUOUS, (Candidate(0, 0.04), Candidate(1, 0.05)), 3)
    strangers, rules = Strangers(np.zeros(1000), 0.05, is_measured=True), MatchRules(0.4, 5)
    names = ["María de los Ángeles Hernández Quiñones", "Ana"]
    lines = match_lines(Answers([photo], [[match]], ["100001", "100002"], names, rules, strangers, "Dlib"), width)
    assert max(map(cell_len, lines)) <= width
    assert any("0001.jpg" in line for line in lines) == (width >= 80)
    assert any("1 de 333" in line for line in lines)
