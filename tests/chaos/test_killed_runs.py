"""Kill runs at any moment: the next run must leave the gallery that an undisturbed run leaves."""

from __future__ import annotations

import signal

from tests.chaos.scene import Scene
from tests.conftest import Figure
from tests.support.chaos_options import rounds

FRESH_EVERY = 4


def test_after_a_kill_the_next_run_leaves_what_an_undisturbed_one_leaves(scene: Scene, figure: Figure) -> None:
    most_twice, most_embedded_twice, killed = 0, 0, 0
    total = rounds(quick=2, full=100)
    for number in range(total):
        if number and number % FRESH_EVERY == 0:
            scene.forget_everything()
        elif number:
            scene.live_on()
        downloads, embedded = scene.undisturbed()
        program = scene.start()
        program.strike(signal.SIGKILL, scene.random.uniform(0, scene.whole_s))
        first = program.end()
        killed += first.exit_code == -signal.SIGKILL
        before = scene.downloads()
        second = scene.run()
        twice = (before + scene.downloads() - downloads).total()
        embedded_twice = (first.embedded + second.embedded - embedded).total()
        assert second.exit_code in (0, 1), second.printed
        scene.galleries_are_equal()
        scene.nothing_is_left_lying()
        assert max(twice, embedded_twice) <= scene.most_done_twice
        most_twice, most_embedded_twice = max(most_twice, twice), max(most_embedded_twice, embedded_twice)
    figure("kill -9: rounds, of them killed before their end", (total, killed))
    figure("kill -9: final gallery equal to an undisturbed run's", total)
    figure("kill -9: most photos downloaded twice (allowed)", (most_twice, scene.most_done_twice))
    figure("kill -9: most vectors computed twice", most_embedded_twice)
