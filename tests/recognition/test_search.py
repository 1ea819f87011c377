"""Test the search of probes: the same candidates and distances as a double loop, scikit-learn and faiss."""

import faiss
import numpy as np
import pytest

from app.recognition.distances import UnitTemplates
from app.recognition.search import nearest
from tests.recognition.galleries import float64_distances, plant, random_vectors


def test_candidates_are_those_of_the_double_loop_scikit_learn_and_faiss() -> None:
    from sklearn.neighbors import NearestNeighbors  # a third of a second, in each worker of pytest-xdist

    probes, gallery = random_vectors(60, seed=1), random_vectors(1_500, seed=2)
    found = nearest(UnitTemplates.of(probes), UnitTemplates.of(gallery), 5)
    loop = float64_distances(probes, gallery)
    assert found.members.tolist() == np.argsort(loop, axis=1, kind="stable")[:, :5].tolist()
    assert found.distances.tolist() == np.sort(loop, axis=1)[:, :5].tolist()
    learned = NearestNeighbors(n_neighbors=5, metric="cosine", algorithm="brute").fit(gallery.astype(np.float64))
    distances, members = learned.kneighbors(probes.astype(np.float64))
    assert found.members.tolist() == members.tolist()
    assert found.distances == pytest.approx(distances, abs=5.1e-7)
    cosines, members = faiss.knn(
        UnitTemplates.of(probes).unit, UnitTemplates.of(gallery).unit, 5, faiss.METRIC_INNER_PRODUCT
    )
    assert found.members.tolist() == members.tolist()
    assert found.distances == pytest.approx(1 - cosines, abs=2e-6)


def test_equal_distances_are_ordered_by_index() -> None:
    gallery = random_vectors(400)
    probe = random_vectors(1, seed=5)
    gallery[[300, 17, 90]] = probe * 3  # the very same, of another length
    plant(gallery, 2, 300, 0.2, seed=0)
    found = nearest(UnitTemplates.of(probe), UnitTemplates.of(gallery), 4)
    assert found.members.tolist() == [[17, 90, 300, 2]]
    assert found.distances.tolist() == [[0.0, 0.0, 0.0, 0.2]]


def test_a_tie_that_float32_does_not_see_is_one() -> None:
    gallery, probes = random_vectors(500), random_vectors(10, seed=5)
    gallery = np.concatenate([gallery, probes])
    for place in range(200):
        plant(gallery, place, 500 + place % 10, 0.15, seed=place)
    found = nearest(UnitTemplates.of(probes), UnitTemplates.of(gallery[:500]), 3)
    assert (
        found.members.tolist()
        == np.argsort(float64_distances(probes, gallery[:500]), axis=1, kind="stable")[:, :3].tolist()
    )
    assert found.members.tolist() == [[probe, probe + 10, probe + 20] for probe in range(10)]


def test_candidates_closer_than_float32_can_tell_are_ordered_rightly() -> None:
    gallery, probe = random_vectors(200), random_vectors(1, seed=5)
    gallery = np.concatenate([gallery, probe])
    for place in range(60):
        plant(gallery, place, 200, 0.15 + (60 - place) * 1e-6, seed=place)
    loop = float64_distances(probe, gallery[:200])
    found = nearest(UnitTemplates.of(probe), UnitTemplates.of(gallery[:200]), 10)
    assert found.members[0].tolist() == np.argsort(loop[0], kind="stable")[:10].tolist()


def test_many_probes_are_searched_in_parts_and_k_may_be_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.recognition.search.PRODUCTS_AT_ONCE", 70)
    probes, gallery = UnitTemplates.of(random_vectors(11, seed=1)), UnitTemplates.of(random_vectors(20, seed=2))
    found = nearest(probes, gallery, 99)
    assert found.members.shape == (11, 20)
    assert found.distances.tolist() == np.sort(float64_distances(probes.vectors, gallery.vectors), axis=1).tolist()


@pytest.mark.parametrize(("members", "k"), [(0, 1), (3, 0)])
def test_a_search_for_nothing_is_refused(members: int, k: int) -> None:
    with pytest.raises(ValueError, match="a search needs"):
        nearest(UnitTemplates.of(random_vectors(1)), UnitTemplates.of(random_vectors(members)), k)
