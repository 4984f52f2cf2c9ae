"""Images that incremental mapping left out, placed with fewer fitting points.

The mapper wants 30 points of the model in an image before it believes the pose, so that what begins wrong does not
grow. Of few pictures taken far apart the one between two groups often has fewer, and half of the pictures stay outside.
A finished model is no beginning any more: what is left out is looked at once more, with as few points as two images
need to count as fitting. What it joins is held against what it was by itself, and judged by the gates as any model; a
link that is too weak is cut there.
"""

from __future__ import annotations

import time
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pycolmap
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from runner.poses.colmap.describe import centres
from runner.poses.colmap.explained import Matches
from runner.poses.colmap.requests import MapperRun
from runner.poses.repeatability import AGREEMENT, disagreement

FEWEST = 15  # fitting points; pycolmap's verification of two images asks for as many
WORTH_A_LOOK = 0.05  # share of the images: fewer are blurred ones of a film, and cost another adjustment of it all

Reconstructions = dict[int, pycolmap.Reconstruction]


def with_left_out(
    found: Reconstructions, options: pycolmap.IncrementalPipelineOptions, run: MapperRun, matches: Matches,
    output: Path,
) -> Reconstructions:  # fmt: skip
    """The models with the largest one grown by what was left out of it, where it grows and stays what it was.

    options: of the mapper that found them, whose time limit is what is left; changed. output: a folder that does not
    exist. Models that the grown one holds whole are gone. Images that contradict their matches do not count as grown:
    a model that was adjusted with them is bent.
    """
    if not found:
        return found
    number, largest = max(found.items(), key=lambda item: (item[1].num_reg_images(), item[1].num_points3D()))
    if not _much_is_left_out(run.database, _names(largest)):
        return found
    start, grown_in = output / "start", output / "grown"
    for folder in (start, grown_in):
        folder.mkdir(parents=True)
    largest.write(str(start))
    options.multiple_models = False
    options.mapper.abs_pose_min_num_inliers = FEWEST
    begun = time.monotonic()
    grown = next(iter(pycolmap.incremental_mapping(
        run.database, run.images, str(grown_in), options, input_path=str(start)
    ).values()), None)  # fmt: skip
    was_cut = time.monotonic() - begun >= options.max_runtime_seconds
    if grown is None or was_cut:
        return found
    matches.drop_contradicted(grown)
    if grown.num_reg_images() <= largest.num_reg_images() or _contradicts(grown, found):
        return found
    inside = _names(grown)
    return {number: grown} | {
        other: model for other, model in found.items() if other != number and not _names(model) <= inside
    }


def _much_is_left_out(path: str, inside: Collection[str]) -> bool:
    """Are there enough images outside a model that hang together with it, directly or by others?"""
    with pycolmap.Database.open(path) as database:
        images = {image.image_id: image.name for image in database.read_all_images()}
        pairs, inliers = database.read_two_view_geometry_num_inliers()
    ends = [pycolmap.pair_id_to_image_pair(pair) for pair, count in zip(pairs, inliers, strict=True) if count >= FEWEST]
    row = {image: i for i, image in enumerate(images)}
    one, two = (np.array([row[pair[side]] for pair in ends], np.int64) for side in (0, 1))
    graph = coo_matrix((np.ones(len(ends)), (one, two)), shape=(len(row), len(row)))
    group = dict(zip(images.values(), connected_components(graph, directed=False)[1].tolist(), strict=True))
    groups = {group[name] for name in inside}
    reachable = sum(group[name] in groups for name in group if name not in inside)
    return reachable > WORTH_A_LOOK * len(images)


def _contradicts(grown: pycolmap.Reconstruction, found: Mapping[int, pycolmap.Reconstruction]) -> bool:
    """Does it put the cameras of any model elsewhere than that model by itself? Too few in both say nothing."""
    now = centres(grown)
    apart = (disagreement(now, centres(model)) for model in found.values())
    return any(each is not None and each > AGREEMENT for each in apart)


def _names(model: pycolmap.Reconstruction) -> frozenset[str]:
    return frozenset(centres(model))
