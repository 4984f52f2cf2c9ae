"""Which pairs of images look alike, and their matches, in COLMAP's database, before anything is reconstructed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from runner.poses.colmap.lenses import rigs
from runner.poses.colmap.parallax import Pairs as MovedPairs
from runner.poses.colmap.parallax import turning_share
from runner.poses.colmap.requests import ChoosePairs, Done, FixLenses, ForgetMatches, Match, Matches, Pairs
from runner.poses.pairs.choice import Pictures, choose_pairs
from runner.poses.pairs.likeness import Descriptors, by_words, largest, likeness

ALL_UP_TO = 100  # images of which every pair is looked at with few features; of more, those with words in common
CANDIDATES = 3  # times as many pairs are looked at as are chosen
USUAL_LENS = 0.78  # focal length / long side: the main lens of a phone while filming
WHOLE = frozenset({
    pycolmap.TwoViewGeometryConfiguration.PLANAR,
    pycolmap.TwoViewGeometryConfiguration.PANORAMIC,
    pycolmap.TwoViewGeometryConfiguration.PLANAR_OR_PANORAMIC,
})  # fmt: skip


def choose(request: ChoosePairs) -> Pairs:
    """Pairs of images that look alike; see `choose_pairs`."""
    names = [name for shot in request.shots for name in shot]
    moments = [rigs.moment(name, request.rigs) for name in names]
    pictures = Pictures(
        shot_of=np.repeat(np.arange(len(request.shots)), [len(shot) for shot in request.shots]),
        moment_of=np.unique(np.array(moments), return_inverse=True)[1].astype(np.int64),
    )
    images = _largest_of(request.database, names)
    if len(names) <= ALL_UP_TO:
        looked_at = np.argwhere(np.triu(np.ones((len(names), len(names)), bool), 1))
    else:
        looked_at = choose_pairs(by_words(images, request.seed), pictures, CANDIDATES * request.each, request.in_time)
    alike = likeness(images, ((int(one), int(two)) for one, two in looked_at))
    chosen = choose_pairs(alike, pictures, request.each, request.in_time)
    return Pairs(pairs=tuple((names[one], names[two]) for one, two in chosen))


def _largest_of(path: str, names: list[str]) -> list[Descriptors]:
    found = []
    with pycolmap.Database.open(path) as database:
        for name in names:
            image = database.read_image_with_name(name)
            assert image is not None  # all of them have features
            number = image.image_id
            keypoints = np.asarray(database.read_keypoints(number), np.float32).reshape(-1, 6)
            scales = np.hypot(keypoints[:, 2], keypoints[:, 4])  # [x, y, and the affine shape by rows]
            found.append(largest(scales, np.asarray(database.read_descriptors(number).data)))
    return found


def match(request: Match) -> Matches:
    """Matches and verifies pairs: those that were chosen, or all of them."""
    database = request.database
    rigs.configure(database, request.rigs)
    matching = pycolmap.FeatureMatchingOptions(
        guided_matching=request.guided, num_threads=request.threads, use_gpu=False
    )
    matching.skip_image_pairs_in_same_frame = bool(request.rigs)  # the views of a 360-degree frame do not overlap
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = request.seed
    common: dict[str, Any] = {"matching_options": matching, "verification_options": verification}
    if request.pairs is None:
        pycolmap.match_exhaustive(database, **common)
    elif request.pairs:
        pairs = Path(database).with_name("pairs.txt")
        pairs.write_text("".join(f"{one} {two}\n" for one, two in request.pairs), encoding="utf-8")
        pycolmap.match_image_pairs(
            database, pairing_options=pycolmap.ImportedPairingOptions(match_list_path=str(pairs)), **common
        )
    return _pairs(database, verification.min_num_inliers)


def forget_matches(request: ForgetMatches) -> Done:
    """Empties the match tables of a copied database, so that its pairs are matched again."""
    with pycolmap.Database.open(request.database) as database:
        database.clear_matches()
        database.clear_two_view_geometries()
    return Done()


def fix_lenses(request: FixLenses) -> Done:
    """Sets every camera of a copied database that has no focal length from metadata to that of a usual phone."""
    with pycolmap.Database.open(request.database) as database:
        for camera in database.read_all_cameras():
            if not camera.has_prior_focal_length:
                focal = USUAL_LENS * max(camera.width, camera.height)
                usual = pycolmap.Camera.create_from_model_id(
                    camera.camera_id, camera.model, focal, camera.width, camera.height
                )
                usual.has_prior_focal_length = True
                database.update_camera(usual)
    return Done()


def _pairs(path: str, least_inliers: int) -> Matches:
    """How many pairs were compared, which of them fit together, and whether the camera only turned."""
    with pycolmap.Database.open(path) as database:
        image_of = {image.image_id: image for image in database.read_all_images()}
        cameras = {camera.camera_id: camera for camera in database.read_all_cameras()}
        ids, geometries = database.read_two_view_geometries()
        compared = database.num_matched_image_pairs()
    links, inside = [], []
    for pair_id, geometry in zip(ids, geometries, strict=True):
        if len(geometry.inlier_matches) < least_inliers:
            continue
        one, two = (image_of[number] for number in pycolmap.pair_id_to_image_pair(pair_id))
        links.append((one.name, two.name))
        if one.camera_id == two.camera_id:
            inside.append((geometry, cameras[one.camera_id]))
    pairs = MovedPairs(
        np.array([np.asarray(geometry.H) for geometry, _ in inside], np.float64).reshape(-1, 3, 3),
        np.array([geometry.config in WHOLE for geometry, _ in inside], bool),
        np.array([(camera.width, camera.height) for _, camera in inside], np.float64).reshape(-1, 2),
    )
    return Matches(pairs=compared, links=tuple(links), turning=turning_share(pairs))
