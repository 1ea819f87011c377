"""Stop runs at any moment: each says what it did and leaves no files, and the next run goes on."""

from __future__ import annotations

import signal

import pytest
from sqlalchemy import inspect

from app.errors import EXIT_BY_SIGNAL
from tests.chaos.scene import Scene
from tests.conftest import Figure
from tests.support.chaos_options import rounds
from tests.support.databases import run_sql

UNENDED = "SELECT id FROM face_runs WHERE ended_at IS NULL"
NOT_BEGUN = ("", "Interrumpido\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_run_that_is_asked_to_stop_ends_in_good_order(scene: Scene, number: signal.Signals, figure: Figure) -> None:
    stopped, most_twice, longest_s = 0, 0, 0.0
    total = rounds(quick=1, full=50)
    for each in range(total):
        if each % 4 == 0:
            scene.forget_everything()
        else:
            scene.live_on()
        downloads, _ = scene.undisturbed()
        program = scene.start()
        after_s = scene.random.uniform(0, scene.whole_s)
        program.strike(number, after_s)
        first = program.end()
        in_good_order(scene, first.exit_code, first.printed, number)
        if first.exit_code == EXIT_BY_SIGNAL + number:
            stopped += 1
            longest_s = max(longest_s, first.seconds - after_s)
        before = scene.downloads()
        second = scene.run()
        twice = (before + scene.downloads() - downloads).total()
        assert second.exit_code in (0, 1), second.printed
        scene.galleries_are_equal()
        scene.nothing_is_left_lying()
        assert twice <= scene.most_done_twice
        most_twice = max(most_twice, twice)
    name = number.name
    figure(f"{name}: rounds, of them stopped before their end", (total, stopped))
    figure(f"{name}: longest time from the signal to the end (s)", round(longest_s, 2))
    figure(f"{name}: most photos downloaded twice (allowed)", (most_twice, scene.most_done_twice))


def in_good_order(scene: Scene, exit_code: int, printed: str, number: signal.Signals) -> None:
    """Check that a run that has begun prints its summary; only earlier or later may the signal end the process."""
    assert exit_code in (0, 1, EXIT_BY_SIGNAL + number, -number), printed
    said, summary, _ = printed.partition("RESUMEN FINAL")
    assert "Traceback" not in said, said
    if not summary:
        assert said in NOT_BEGUN, said
        assert exit_code in (EXIT_BY_SIGNAL + number, -number)
    scene.nothing_is_left_lying()
    if inspect(scene.home.database.engine).has_table("face_runs"):  # the signal may come before the tables are made
        assert run_sql(scene.home.database, UNENDED) == []
