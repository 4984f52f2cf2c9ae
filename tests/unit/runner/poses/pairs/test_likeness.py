"""How much two images look alike, from their largest features."""

from __future__ import annotations

import numpy as np

from runner.poses.pairs.likeness import LARGEST, by_words, largest, likeness, mutual

RNG = np.random.default_rng(0)


def descriptors(count: int) -> np.ndarray:
    return RNG.integers(0, 255, (count, 128), dtype=np.uint8)


def test_the_largest_features_are_taken():
    scales = RNG.permutation(2 * LARGEST).astype(np.float32)
    all_of_them = descriptors(2 * LARGEST)
    found = largest(scales, all_of_them)
    assert found.shape == (LARGEST, 128)
    expected = all_of_them[int(scales.argmax())].astype(np.float32)
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), rtol=1e-5)


def test_features_that_two_images_share_find_each_other():
    shared, one, two = descriptors(100), descriptors(200), descriptors(200)
    scales = np.ones(300, np.float32)
    first = largest(scales, np.concatenate([shared, one]))
    noisy = np.clip(shared.astype(int) + RNG.integers(-8, 9, shared.shape), 0, 255).astype(np.uint8)
    second = largest(scales, np.concatenate([two, noisy]))
    assert 95 <= mutual(first, second) <= 110
    assert mutual(first, largest(scales, descriptors(300))) < 10


def test_what_repeats_counts_for_nothing():
    """Two equal features of the other image are equally near: which one is meant nobody knows."""
    tile = descriptors(100)
    scales = np.ones(200, np.float32)
    twice = largest(scales, np.concatenate([tile, tile]))
    assert mutual(largest(scales[:100], tile), twice) == 0


def test_images_without_features_look_like_nothing():
    empty = largest(np.zeros(0, np.float32), np.zeros((0, 128), np.uint8))
    full = largest(np.ones(50, np.float32), descriptors(50))
    assert likeness([empty, full, full], [(0, 1), (1, 2)]).tolist() == [[0, 0, 0], [0, 0, 50], [0, 50, 0]]


def test_images_of_one_place_have_words_in_common():
    """Ten images of each of three places, of 100 features that each place has and 50 that no other image has."""
    scales = np.ones(150, np.float32)
    places = [descriptors(100) for _ in range(3)]
    images = [largest(scales, np.concatenate([places[i // 10], descriptors(50)])) for i in range(30)]
    alike = by_words(images, 0)
    np.testing.assert_allclose(alike, by_words(images, 0))
    for image in range(30):
        own = [other for other in np.argsort(-alike[image]) if other != image][:9]
        assert {other // 10 for other in own} == {image // 10}
