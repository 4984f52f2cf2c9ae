"""Pairs of images that are worth a comparison: enough to hold a scene together, and few."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from runner.poses.pairs.choice import ACROSS, Pictures, choose_pairs

IN_TIME = 4


def pictures(*shots: int) -> Pictures:
    """Shots of so many images."""
    return Pictures(np.repeat(np.arange(len(shots)), shots), np.arange(sum(shots)))


def ring(count: int, reach: int) -> np.ndarray:
    """Images around a thing: each looks like those within `reach` of it, the more the nearer, and like no other."""
    apart = np.abs(np.arange(count)[:, None] - np.arange(count)[None, :])
    return np.maximum(0, reach + 1 - np.minimum(apart, count - apart)).astype(np.float32)


def pairs_of(chosen: np.ndarray) -> set[tuple[int, int]]:
    return {(int(one), int(two)) for one, two in chosen}


def test_few_images_are_all_compared():
    assert len(choose_pairs(ring(12, 6), pictures(12), 20, IN_TIME)) == 66


def test_each_pair_comes_once_with_the_lower_number_first():
    chosen = choose_pairs(ring(60, 15), pictures(60), 8, IN_TIME)
    assert (chosen[:, 0] < chosen[:, 1]).all()
    assert len(pairs_of(chosen)) == len(chosen)


def test_each_image_is_compared_with_those_that_look_most_like_it():
    alike = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    alike = np.maximum(alike, alike.T)
    np.fill_diagonal(alike, 0)
    found = pairs_of(choose_pairs(alike, pictures(40), 5, IN_TIME))
    for image in range(40):
        for other in np.argsort(-alike[image])[:5]:
            assert (min(image, other), max(image, other)) in found


@pytest.mark.parametrize("count", [50, 100, 200, 400])
def test_the_number_of_pairs_grows_with_the_number_of_images(count):
    chosen = choose_pairs(ring(count, 30), pictures(count), 20, IN_TIME)
    assert len(chosen) <= 20 * count
    assert len(chosen) >= 10 * count


def test_neighbours_in_time_are_compared_even_where_nothing_looks_alike():
    found = pairs_of(choose_pairs(np.zeros((30, 30), np.float32), pictures(30), 5, IN_TIME))
    assert {(i, i + step) for i in range(30) for step in range(1, IN_TIME + 1) if i + step < 30} <= found


def test_the_last_image_of_a_shot_is_no_neighbour_of_the_first_of_the_next():
    own, nothing = np.ones((10, 10)), np.zeros((10, 10))
    alike = np.block([[own, nothing], [nothing, own]]).astype(np.float32)
    alike[0, 15] = alike[15, 0] = 9.0
    across = [pair for pair in pairs_of(choose_pairs(alike, pictures(10, 10), 5, IN_TIME)) if pair[0] < 10 <= pair[1]]
    assert across == [(0, 15)]


def test_clips_that_look_more_like_themselves_than_like_each_other_are_joined_by_more_than_one_pair():
    """Each image has 20 others of its own clip that look more like it: by those alone the clips fell apart."""
    own = np.full((30, 30), 50.0)
    alike = np.block([[own, np.full((30, 30), 4.0)], [np.full((30, 30), 4.0), own]]).astype(np.float32)
    across = [pair for pair in pairs_of(choose_pairs(alike, pictures(30, 30), 20, IN_TIME)) if pair[0] < 30 <= pair[1]]
    assert len(across) >= 30 * ACROSS / 2


def test_nobody_is_left_alone():
    alike = np.zeros((40, 40), np.float32)
    for start in range(0, 40, 10):
        alike[start : start + 10, start : start + 10] = 9.0
    chosen = choose_pairs(alike, pictures(*[1] * 40), 3, IN_TIME)
    graph = csr_matrix((np.ones(len(chosen)), (chosen[:, 0], chosen[:, 1])), shape=(40, 40))
    assert connected_components(graph, directed=False)[0] == 1


def test_views_of_one_moment_are_never_compared():
    """Four views of each 360-degree frame look in four directions."""
    moments = np.tile(np.arange(10), 4)
    views = Pictures(np.repeat(np.arange(4), 10), moments)
    chosen = choose_pairs(np.ones((40, 40), np.float32), views, 20, IN_TIME)
    assert not (moments[chosen[:, 0]] == moments[chosen[:, 1]]).any()
