"""Features and matches in COLMAP's database, before anything is reconstructed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from PIL import Image

from runner.poses.colmap.feature_masks import feature_masks
from runner.poses.colmap.lenses import fisheye, rigs
from runner.poses.colmap.parallax import Pairs, turning_share
from runner.poses.colmap.requests import (
    Done,
    Extract,
    Features,
    FixLenses,
    ForgetMatches,
    Group,
    Match,
    Matches,
    Source,
)

VOCABULARY_DESCRIPTORS = 100_000  # of the scene's own, to learn the vocabulary from: 9 s, 1.3 MB
VOCABULARY_WORDS = 4096
WEAK = 0.5  # of SIFT's usual contrast threshold, for images without much
USUAL_LENS = 0.78  # focal length / long side: the main lens of a phone while filming
WHOLE = frozenset({
    pycolmap.TwoViewGeometryConfiguration.PLANAR,
    pycolmap.TwoViewGeometryConfiguration.PANORAMIC,
    pycolmap.TwoViewGeometryConfiguration.PLANAR_OR_PANORAMIC,
})  # fmt: skip


def extract(request: Extract) -> Features:
    """SIFT features into the database, one camera per group: a shot keeps its lens, another may have another.

    Images that are in the database already are skipped, and their group goes on with the camera they have. Nothing is
    found where a mask ignores pixels, and close to it.
    """
    source = request.source
    options = pycolmap.FeatureExtractionOptions(
        max_image_size=request.max_image_size, num_threads=request.threads, use_gpu=False
    )
    options.sift.max_num_features = request.features
    if request.sensitive:
        options.sift.peak_threshold *= WEAK
    for group in request.groups:
        reader = reader_of(source, group)
        if request.masks and (folder := feature_masks(Path(request.masks), group.names, Path(source.database).parent)):
            reader.mask_path = str(folder)
        pycolmap.extract_features(
            source.database, source.images, image_names=list(group.names), camera_mode=pycolmap.CameraMode.SINGLE,
            reader_options=reader, extraction_options=options,
        )  # fmt: skip
    wanted = {name for group in request.groups for name in group.names}
    with pycolmap.Database.open(source.database) as database:
        found = {image.name: database.num_keypoints_for_image(image.image_id) for image in database.read_all_images()}
    return Features(features={name: count for name, count in found.items() if name in wanted})


def reader_of(source: Source, group: Group) -> pycolmap.ImageReaderOptions:
    """How the images of a group come into the database: with the camera they have there, or a new one."""
    model = {"pinhole": "SIMPLE_PINHOLE", "fisheye": fisheye.MODEL}.get(group.lens, source.camera_model)
    reader = pycolmap.ImageReaderOptions(camera_model=model)
    known = _camera_of(source.database, group.names)
    if known is not None:
        reader.existing_camera_id = known
    elif group.focal_ratio is not None:
        reader.camera_params = _prior(source, model, group.names[0], group.focal_ratio)
    return reader


def match(request: Match) -> Matches:
    """Matches and verifies pairs: all of them; or neighbours in time with loops or look-alikes and a thinned set."""
    database = request.database
    rigs.configure(database, request.rigs)
    matching = pycolmap.FeatureMatchingOptions(
        guided_matching=request.guided, num_threads=request.threads, use_gpu=False
    )
    matching.skip_image_pairs_in_same_frame = bool(request.rigs)  # the views of a 360-degree frame do not overlap
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = request.seed
    common: dict[str, Any] = {"matching_options": matching, "verification_options": verification}
    if request.matching == "exhaustive":
        pycolmap.match_exhaustive(database, **common)
    else:
        vocabulary = str(_vocabulary(database, request.threads))
        # quadratic_overlap would add only pairs 1, 2, 4, 8, 16, 32 frames apart, and drop the window between them.
        in_time = pycolmap.SequentialPairingOptions(
            overlap=request.overlap, quadratic_overlap=False, loop_detection=request.matching == "sequential",
            num_threads=request.threads, vocab_tree_path=vocabulary,
        )  # fmt: skip
        pycolmap.match_sequential(database, pairing_options=in_time, **common)
        if request.matching == "retrieval":
            alike = pycolmap.VocabTreePairingOptions(
                num_images=request.neighbours, num_threads=request.threads, vocab_tree_path=vocabulary
            )
            pycolmap.match_vocabtree(database, pairing_options=alike, **common)
        pairs = Path(database).with_name("pairs.txt")
        thinned = request.names[:: -(-len(request.names) // request.thinned_to)]
        pairs.write_text("".join(f"{a} {b}\n" for i, a in enumerate(thinned) for b in thinned[i + 1 :]))
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


def _camera_of(path: str, names: Sequence[str]) -> int | None:
    """The camera that images of a group were given before."""
    if not Path(path).is_file():
        return None
    with pycolmap.Database.open(path) as database:
        for name in names:
            if (image := database.read_image_with_name(name)) is not None:
                return int(image.camera_id)
    return None


def _prior(source: Source, model: str, name: str, focal_ratio: float) -> str:
    """Parameters of the camera of an image with the focal length of the metadata; COLMAP refines it."""
    with Image.open(Path(source.images) / name) as image:
        width, height = image.size
    number = getattr(pycolmap.CameraModelId, model)
    camera = pycolmap.Camera.create_from_model_id(1, number, focal_ratio * max(width, height), width, height)
    return ",".join(map(repr, map(float, camera.params)))


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
    pairs = Pairs(
        np.array([np.asarray(geometry.H) for geometry, _ in inside], np.float64).reshape(-1, 3, 3),
        np.array([geometry.config in WHOLE for geometry, _ in inside], bool),
        np.array([(camera.width, camera.height) for _, camera in inside], np.float64).reshape(-1, 2),
    )
    return Matches(pairs=compared, links=tuple(links), turning=turning_share(pairs))


def _vocabulary(database: str, threads: int) -> Path:
    """A vocabulary tree of the scene's own descriptors. Without a local one COLMAP tries to download one and aborts."""
    path = Path(database).with_name("vocabulary.bin")
    if path.is_file():
        return path
    with pycolmap.Database.open(database) as opened:
        images = opened.read_all_images()
        per_image = -(-VOCABULARY_DESCRIPTORS // max(len(images), 1))
        rng = np.random.default_rng(0)
        parts = []
        for image in images:
            descriptors = np.asarray(opened.read_descriptors(image.image_id).data)
            parts.append(descriptors[np.sort(rng.permutation(len(descriptors))[:per_image])])
    sample = np.concatenate(parts).astype(np.float32)
    options = pycolmap.VisualIndex.BuildOptions(
        num_visual_words=min(VOCABULARY_WORDS, len(sample)), num_rounds=1, num_iterations=5, num_threads=threads
    )
    index = pycolmap.VisualIndex.create(128, 64)
    index.build(options, pycolmap.FeatureDescriptorsFloat(pycolmap.FeatureExtractorType.SIFT, sample))
    index.write(str(path))
    return path
