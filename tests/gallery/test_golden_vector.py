"""Vectors that moved are noticed before a row is written; a change that is meant is accepted."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from app.core.database import Database
from app.core.vectors import SAME_VECTOR
from app.errors import VectorsChanged
from app.gallery.golden_vector import GoldenVector
from app.gallery.provenance import Provenance
from app.gallery.tables import open_own_tables
from app.records import EmbeddingSpec
from tests.conftest import NewHome
from tests.support.databases import run_sql
from tests.support.organisation import Organisation

NOW = datetime(2026, 3, 1, 2)
CONTRACT = EmbeddingSpec("Facenet512", "sha", "mtcnn 1", "aligned", "base", "BGR", 1)
CREW = ["P1", "P2", "P3"]
USED = "SELECT COUNT(*), COUNT(DISTINCT contract) FROM face_vectors"


@pytest.fixture
def golden(database: Database) -> GoldenVector:
    open_own_tables(database)
    Provenance(database, CONTRACT).declare(NOW)
    return GoldenVector(database, CONTRACT)


@pytest.fixture
def home(new_home: NewHome) -> Organisation:
    home = new_home()
    home.hire(*CREW)
    assert home.run().exit_code == 0
    return home


def turned(vector: np.ndarray, by: float) -> np.ndarray:
    """Return a vector at that cosine distance."""
    away = np.zeros_like(vector)
    away[:2] = -vector[1], vector[0]
    away *= np.linalg.norm(vector) / np.linalg.norm(away)
    cosine = 1 - by
    return np.asarray(vector * cosine + away * np.sqrt(1 - cosine**2), np.float32)


def test_the_first_vector_is_recorded_number_by_number(golden: GoldenVector) -> None:
    vector = np.random.default_rng(6).normal(size=512).astype(np.float32)
    assert golden.recorded() is None
    golden.confirm(vector, NOW)
    recorded = golden.recorded()
    assert recorded is not None
    assert np.array_equal(recorded, vector)


@pytest.mark.parametrize("renew", [False, True])
def test_what_a_processor_makes_of_it_changes_nothing(golden: GoldenVector, renew: bool) -> None:
    vector = np.random.default_rng(6).normal(size=512).astype(np.float32)
    golden.confirm(vector, NOW)
    golden.confirm(turned(vector, SAME_VECTOR * 0.9), NOW, renew=renew)
    assert np.array_equal(np.asarray(golden.recorded()), vector)


def test_a_vector_that_moved_is_refused(golden: GoldenVector) -> None:
    vector = np.random.default_rng(6).normal(size=512).astype(np.float32)
    golden.confirm(vector, NOW)
    with pytest.raises(VectorsChanged, match=r"se movió 0\.0020") as caught:
        golden.confirm(turned(vector, 0.002), NOW)
    assert caught.value.exit_code == 3
    assert np.array_equal(np.asarray(golden.recorded()), vector)


def test_a_run_whose_vectors_have_moved_writes_none(home: Organisation) -> None:
    before = home.active_rows()
    home.hire("P4")
    home.replace("P1")
    home.tomorrow()
    home.loader.golden = 7
    ran = home.run()
    assert (type(ran.result.error), ran.exit_code, home.active_rows()) == (VectorsChanged, 3, before)
    assert sum(ran.embedded.values()) == 0
    home.loader.golden = 0
    assert sorted(crew_id for crew_id, code in home.run().codes.items() if code == "stored") == ["P1", "P4"]


def test_a_run_with_nothing_to_compute_does_not_mind(home: Organisation) -> None:
    home.loader.golden = 7
    home.tomorrow()
    assert home.run().exit_code == 0


@pytest.mark.parametrize("request_", [{"crew_id": "P1", "force": True}, {"migrate": True}, {"retry_failed": True}])
def test_only_a_run_of_everybody_renews_it(home: Organisation, request_: dict[str, object]) -> None:
    home.loader.golden = 7
    home.tomorrow()
    before = home.active_rows()
    home.run(**request_)
    assert home.active_rows() == before


def test_force_makes_everybody_anew_also_when_it_is_interrupted(home: Organisation) -> None:
    """The next run makes the vectors that the first did not come to: they are known to be of the former ones."""
    home.hire(*(f"Q{number:02}" for number in range(30)))
    home.run()
    home.loader.golden = 7
    home.tomorrow()
    done = [crew_id for crew_id, code in home.run(force=True, stop_after=1).codes.items() if code == "stored"]
    assert 0 < len(done) < 33
    again = home.run()
    assert [crew_id for crew_id, code in again.codes.items() if code == "current"] == sorted(done)
    assert run_sql(home.database, USED) == [(33, 1)]
    assert set(home.run().codes.values()) == {"current"}
