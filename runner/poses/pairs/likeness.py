"""How much two images look alike: how many of their largest features find each other.

The largest features are those that are seen from farthest and in the fewest copies, so a few hundred of them say which
images show the same thing. One pair takes about 2 ms, where a comparison of all its features takes 60 and more. Where
even that is done for too many pairs, images are looked up by visual words first (Sivic and Zisserman 2003).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

LARGEST = 350  # features of an image
RATIO = 0.8  # Lowe 2004: distance to the nearest / to the second nearest
WORDS = 1024
WORDS_FROM = 60_000  # descriptors that the words are learned from
ROUNDS = 4  # of k-means

Descriptors = NDArray[np.float32]  # [F, 128] of length 1


def largest(scales: NDArray[np.float32], descriptors: NDArray[np.uint8]) -> Descriptors:
    """Descriptors of the largest features of an image, of length 1."""
    chosen = np.argsort(-scales, kind="stable")[:LARGEST]
    found = descriptors[chosen].astype(np.float32)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9))


def likeness(images: Sequence[Descriptors], pairs: Iterable[tuple[int, int]]) -> NDArray[np.float32]:
    """[N, N] for the asked pairs, how many features are each other's nearest by far; 0 for others."""
    found = np.zeros((len(images), len(images)), np.float32)
    for one, two in pairs:
        found[one, two] = found[two, one] = mutual(images[one], images[two])
    return found


def mutual(one: Descriptors, two: Descriptors) -> int:
    """Pairs of features that are each other's nearest, and pass the ratio test from one side."""
    if min(len(one), len(two)) < 2:
        return 0
    cosines = one @ two.T
    rows = np.arange(len(one))
    nearest = cosines.argmax(axis=1)
    back = cosines.argmax(axis=0)
    best = cosines[rows, nearest]
    cosines[rows, nearest] = -1.0
    second = cosines.max(axis=1)
    distances = np.maximum(2.0 - 2.0 * best, 1e-4)  # squared; of equal ones rounding would decide
    clear = distances < RATIO**2 * (2.0 - 2.0 * second)
    return int((clear & (back[nearest] == rows)).sum())


def by_words(images: Sequence[Descriptors], seed: int) -> NDArray[np.float32]:
    """[N, N] cosines between the images' visual words, weighted by how rare each word is (tf-idf)."""
    everything = np.concatenate(images)
    words = _learned(everything, np.random.default_rng(seed))
    counts = np.zeros((len(images), len(words)), np.float32)
    for number, image in enumerate(images):
        counts[number] = np.bincount(_nearest(image, words), minlength=len(words))
    rare = np.log(len(images) / np.maximum((counts > 0).sum(axis=0), 1.0))
    weighted = np.sqrt(counts) * rare
    weighted /= np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-9)
    return np.asarray(weighted @ weighted.T, np.float32)


def _learned(descriptors: Descriptors, rng: np.random.Generator) -> Descriptors:
    """k-means on a sample."""
    sample = descriptors[np.sort(rng.permutation(len(descriptors))[:WORDS_FROM])]
    words = sample[np.sort(rng.permutation(len(sample))[:WORDS])]
    for _ in range(ROUNDS):
        nearest = _nearest(sample, words)
        sums = np.zeros_like(words)
        np.add.at(sums, nearest, sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        words = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), words)
    return words


def _nearest(descriptors: Descriptors, words: Descriptors) -> NDArray[np.int64]:
    parts = range(0, len(descriptors), 4096)
    found = [(descriptors[start : start + 4096] @ words.T).argmax(axis=1) for start in parts]
    return np.concatenate(found) if found else np.zeros(0, np.int64)
