"""`--migrate` does not switch to a model that recognises no one, nor when too many people lack a new vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.config import Settings
from tests.conftest import NEW_MODEL, NewHome
from tests.support.organisation import Organisation
from tests.support.tiny_faces import TinyEmbedder, TinyFaces, TinyFinder, TinyLoader

CREW = [f"P{number:02}" for number in range(24)]


class Lopsided(TinyEmbedder):
    """An embedder that sees the outermost blocks of one side only: a mirrored face is another person's."""

    def _forward(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.resize(pixels[::16, 0, 0] - pixels.mean(), 128).astype(np.float32)


class LopsidedLoader(TinyLoader):
    def __call__(self, settings: Settings, *_: Any, **__: Any) -> Any:
        embedder = Lopsided(settings.FACE_MODEL, self.hook, self.note)
        return TinyFaces(TinyFinder(self.hook), embedder, self.hook, self.sandbox)


@pytest.fixture
def home(new_home: NewHome) -> Organisation:
    """Everybody enrolled by the old model, and the new one in the settings."""
    home = new_home()
    home.hire(*CREW)
    assert home.run().exit_code == 0
    home.settings = home.settings.model_copy(update={"FACE_MODEL": NEW_MODEL})
    return home


def test_a_model_by_which_people_are_not_nearest_to_themselves_is_not_switched_to(home: Organisation) -> None:
    before = home.active_rows()
    home.loader = LopsidedLoader()
    result = home.run(migrate=True).result
    assert "se parecen más a sí mismas que a las demás" in str(result.error)
    assert (home.active_rows(), result.switched) == (before, None)
    home.loader = TinyLoader()


def test_when_too_many_would_be_left_without_a_vector_nothing_is_switched_until_that_is_allowed(
    home: Organisation,
) -> None:
    before = home.active_rows()
    for crew_id in CREW[:3]:
        home.lose(crew_id)
    refused = home.run(migrate=True)
    assert str(refused.result.error).startswith("3 de 24 personas se quedarían sin embedding: no se cambió de modelo")
    assert (refused.exit_code, home.active_rows()) == (3, before)
    allowed = home.run(migrate=True, allow_mass_change=True)
    assert (allowed.result.error, allowed.result.switched, sum(allowed.embedded.values())) == (None, 21, 21)
    assert [(row[0], row[2]) for row in home.active_rows()] == [(crew_id, NEW_MODEL) for crew_id in CREW[3:]]


def test_a_plain_run_leaves_no_row_of_another_model_unless_too_many_would_go(home: Organisation) -> None:
    for crew_id in CREW[:3]:
        home.lose(crew_id)
    many = home.run().result
    assert (many.mixed, many.retired) == (3, 0)
    home.find(CREW[0])
    few = home.run(retry_failed=True).result
    assert (few.mixed, few.retired) == (0, 0)  # a run for some concludes nothing
    last = home.run().result
    assert (last.mixed, last.retired) == (0, 2)
    assert {row[2] for row in home.active_rows()} == {NEW_MODEL}


def test_what_an_interrupted_migration_staged_is_not_used_after_a_plain_run_of_that_model(
    home: Organisation,
) -> None:
    assert home.run(migrate=True, stop_after=5).result.switched is None
    assert home.run().exit_code == 0
    in_use = home.active_rows()
    home.replace(CREW[0])
    home.tomorrow()
    home.run()
    changed = home.active_rows()
    assert changed != in_use
    assert home.run(migrate=True).result.switched is None
    assert home.active_rows() == changed
