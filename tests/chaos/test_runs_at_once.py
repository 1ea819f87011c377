"""Start two runs, then five, at once: one works and the others name it. Without the lock rows stay right, too."""

from __future__ import annotations

from collections import Counter

import pytest

from app.errors import EXIT_ALREADY_RUNNING
from tests.chaos.scene import Scene
from tests.conftest import Figure
from tests.support.chaos_options import rounds


def run_together(scene: Scene, number: int, *words: str) -> tuple[Counter[int], str]:
    """Run that many at once. Return their exit codes and their output."""
    ended = [program.end() for program in scene.start_together(number, *words)]
    return Counter(each.exit_code for each in ended), "".join(each.printed for each in ended)


@pytest.mark.parametrize("number", [2, 5])
def test_without_the_lock_there_is_one_active_row_each(scene: Scene, number: int, figure: Figure) -> None:
    codes: Counter[int] = Counter()
    total = rounds(quick=1, full=20)
    for each in range(total):
        next_day(scene, each)
        ends, printed = run_together(scene, number, "--lockless")
        assert "Traceback" not in printed, printed
        codes += ends
        scene.one_active_row_each()
        assert scene.run().exit_code in (0, 1)
        scene.galleries_are_equal()
        scene.nothing_is_left_lying()
    figure(f"{number} runs at once without the lock: rounds with one active row each", total)
    figure(f"{number} runs at once without the lock: exit codes", dict(codes))


@pytest.mark.parametrize("number", [2, 5])
def test_with_the_lock_one_works_and_the_others_say_so(scene: Scene, number: int, figure: Figure) -> None:
    refused = 0
    total = rounds(quick=1, full=20)
    for each in range(total):
        next_day(scene, each)
        ends, printed = run_together(scene, number)
        assert "Traceback" not in printed, printed
        assert ends.keys() <= {0, 1, EXIT_ALREADY_RUNNING}, ends
        assert ends[EXIT_ALREADY_RUNNING] == number - 1
        assert printed.count("Ya hay otra ejecución en marcha") == ends[EXIT_ALREADY_RUNNING]
        refused += ends[EXIT_ALREADY_RUNNING]
        scene.galleries_are_equal()
        scene.nothing_is_left_lying()
    figure(f"{number} runs at once: rounds, runs refused with 4, galleries equal", (total, refused, total))


def next_day(scene: Scene, number: int) -> None:
    if number % 2 == 0:
        scene.forget_everything()
    else:
        scene.live_on()
    scene.undisturbed()
