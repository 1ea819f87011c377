"""Test MTCNN's box arithmetic on values computed by hand."""

import numpy as np
import pytest

from app.faces import mtcnn_boxes as boxes


def rows(*values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float64)


def test_the_pyramid_begins_at_the_smallest_face_and_ends_at_the_nets_size() -> None:
    scales = boxes.pyramid_scales(100, min_face_px=24, factor=0.5)
    assert scales == [0.5, 0.25]  # 12 / 24; at 0.125 only 12.5 pixels would be left, and the library stops there
    assert boxes.pyramid_scales(100, min_face_px=20, factor=0.709)[0] == pytest.approx(0.6)


def test_an_image_smaller_than_the_net_has_no_scales() -> None:
    assert boxes.pyramid_scales(10, min_face_px=20, factor=0.709) == []


def test_candidates_lie_at_their_place_in_the_map() -> None:
    score = np.zeros((2, 3), np.float32)
    score[1, 2] = 0.9
    offsets = np.zeros((4, 2, 3), np.float32)
    offsets[:, 1, 2] = [0.0, 0.5, 0.0, 1.0]
    # Cell (row 1, column 2) begins at (2 * 2 + 1, 2 * 1 + 1) and is 11 wide; y moves by half of that, y2 by all.
    np.testing.assert_allclose(boxes.candidates_from_map(offsets, score, 0.6), [[5, 8.5, 16, 25, 0.9]], rtol=1e-6)


def test_overlap_is_intersection_over_union_or_over_the_smaller() -> None:
    pair = rows((0, 0, 10, 10, 1), (5, 0, 15, 5, 1))
    assert boxes.overlaps(pair)[0, 1] == pytest.approx(25 / 125)
    assert boxes.overlaps(pair, of_smaller=True)[0, 1] == pytest.approx(25 / 50)


def test_the_weaker_of_two_overlapping_boxes_is_dropped() -> None:
    found = boxes.suppress(rows((0, 0, 10, 10, 0.5), (1, 0, 11, 10, 0.9), (50, 50, 60, 60, 0.1)), 0.5)
    np.testing.assert_array_equal(found, rows((1, 0, 11, 10, 0.9), (50, 50, 60, 60, 0.1)))


def test_a_box_is_dropped_even_when_the_stronger_one_was_dropped_too() -> None:
    # As in the mtcnn library: 0.9 beats 0.8, and 0.8, though beaten, beats 0.7.
    chain = rows((0, 0, 10, 10, 0.9), (3, 0, 13, 10, 0.8), (6, 0, 16, 10, 0.7))
    np.testing.assert_array_equal(boxes.suppress(chain, 0.5), chain[:1])


def test_squares_grow_around_the_centre() -> None:
    np.testing.assert_array_equal(boxes.to_square(rows((0, 10, 20, 20, 1))), rows((0, 5, 20, 25, 1)))


def test_every_step_accepts_no_candidates() -> None:
    none = boxes.NO_CANDIDATES
    assert boxes.suppress(none, 0.5).shape == (0, 5)
    assert boxes.to_square(none).shape == (0, 5)


def test_offsets_are_fractions_of_the_size_plus_one() -> None:
    moved = boxes.move(rows((0, 0, 9, 19, 1)), np.array([[0.1, 0.1, -0.1, 0]], np.float32))
    np.testing.assert_allclose(moved, rows((1, 2, 8, 19, 1)), atol=1e-6)


def test_landmarks_are_fractions_of_the_box() -> None:
    marks = np.array([[0, 0.5, 1, 0, 1, 0, 0.5, 1, 1, 0]], np.float32)
    points = boxes.place_landmarks(rows((10, 20, 19, 39, 1)), marks)
    np.testing.assert_allclose(points[0], [[9, 19], [14, 29], [19, 39], [9, 39], [19, 19]])


def test_samples_outside_the_image_count_as_outside() -> None:
    regions, inside = boxes.sampling_regions(rows((-5, 0, 5, 10, 1)), (10, 10), 3)
    assert regions.shape == (1, 4)
    np.testing.assert_array_equal(inside[0, 0], [[0, 1, 1]] * 3)
