"""The child process that runs pycolmap: `python -m runner.sfm_process REQUEST.json`.

pycolmap can end a whole process (SIGABRT from a failed check, a crash, memory), so nothing else lives in this one. It
reads a request, writes `result` beside it, prints one JSON line per step of progress, and ends when its parent does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from PIL import Image

from runner import lockdown, seccomp
from runner.atomic import write_atomically
from runner.gates import Observations, measure
from runner.pinhole import scaled_intrinsics, write_shrunk
from runner.sizes import shrink

VOCABULARY_DESCRIPTORS = 100_000  # of the scene's own, to learn the vocabulary from: 9 s, 1.3 MB
VOCABULARY_WORDS = 4096
ORPHANED = 75  # exit code when the parent is gone


def observations(model: pycolmap.Reconstruction) -> tuple[Observations, list[str]]:
    """The arrays the gates need, and the names of the cameras in their order."""
    images = sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name)
    index = {image.image_id: i for i, image in enumerate(images)}
    rotations = np.array([image.cam_from_world().rotation.matrix() for image in images]).reshape(-1, 3, 3)
    camera_of: list[int] = []
    point_of: list[int] = []
    positions: list[Any] = []
    for number, point in enumerate(model.points3D.values()):
        elements = point.track.elements
        camera_of += [index[element.image_id] for element in elements]
        point_of += [number] * len(elements)
        positions.append(point.xyz)
    lenses = [model.cameras[i] for i in sorted({image.camera_id for image in images})]
    seen = Observations(
        centers=np.array([image.projection_center() for image in images]).reshape(-1, 3),
        forward=rotations[:, 2, :],
        points=np.array(positions).reshape(-1, 3),
        camera_of=np.array(camera_of, np.int64),
        point_of=np.array(point_of, np.int64),
        focal_ratios=np.array([lens.mean_focal_length() / max(lens.width, lens.height) for lens in lenses]),
        k1=np.array([_first_radial(lens) for lens in lenses]),
    )
    return seen, [image.name for image in images]


def extract(request: dict[str, Any]) -> dict[str, Any]:
    """SIFT features into the database. One camera per folder: a clip keeps its lens, another clip may have another."""
    reader = pycolmap.ImageReaderOptions(camera_model=request["camera_model"])
    options = pycolmap.FeatureExtractionOptions(
        max_image_size=request["max_image_size"], num_threads=request["threads"], use_gpu=False
    )
    options.sift.max_num_features = request["features"]
    pycolmap.extract_features(
        request["database"], request["images"], image_names=request["names"],
        camera_mode=pycolmap.CameraMode.PER_FOLDER, reader_options=reader, extraction_options=options,
    )  # fmt: skip
    with pycolmap.Database.open(request["database"]) as database:
        return {"images": database.num_images()}


def match(request: dict[str, Any]) -> dict[str, Any]:
    """Matches and verifies pairs: all of them, or neighbours in time with loops and a thinned set of all pairs."""
    database, names = request["database"], request["names"]
    matching = pycolmap.FeatureMatchingOptions(
        guided_matching=request["guided"], num_threads=request["threads"], use_gpu=False
    )
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = request["seed"]
    common = {"matching_options": matching, "verification_options": verification}
    if request["matching"] == "exhaustive":
        pycolmap.match_exhaustive(database, **common)
    else:
        # quadratic_overlap would add only pairs 1, 2, 4, 8, 16, 32 frames apart, and drop the window between them.
        pairing = pycolmap.SequentialPairingOptions(
            overlap=10, quadratic_overlap=False, loop_detection=True, num_threads=request["threads"],
            vocab_tree_path=str(_vocabulary(database, request["threads"])),
        )  # fmt: skip
        pycolmap.match_sequential(database, pairing_options=pairing, **common)
        pairs = Path(database).with_name("pairs.txt")
        thinned = names[:: -(-len(names) // request["thinned_to"])]
        pairs.write_text("".join(f"{a} {b}\n" for i, a in enumerate(thinned) for b in thinned[i + 1 :]))
        pycolmap.match_image_pairs(
            database, pairing_options=pycolmap.ImportedPairingOptions(match_list_path=str(pairs)), **common
        )
    with pycolmap.Database.open(database) as opened:
        inliers = opened.read_two_view_geometry_num_inliers()[1]
        return {"pairs": int(np.count_nonzero(np.asarray(inliers) >= verification.min_num_inliers))}


def forget_matches(request: dict[str, Any]) -> dict[str, Any]:
    """Empties the match tables of a copied database, so that its pairs are matched again."""
    with pycolmap.Database.open(request["database"]) as database:
        database.clear_matches()
        database.clear_two_view_geometries()
    return {}


def reconstruct(request: dict[str, Any]) -> dict[str, Any]:
    """Camera poses and points. Every model found is written to its own folder and measured."""
    output = Path(request["output"])
    output.mkdir(parents=True)
    if request["mapper"] == "global":
        # Without view graph calibration: it took planar pairs at their word and broke three of five tried scenes.
        options = pycolmap.GlobalPipelineOptions(random_seed=request["seed"], num_threads=request["threads"])
        models = pycolmap.global_mapping(request["database"], request["images"], str(output), options)
    else:
        models = pycolmap.incremental_mapping(
            request["database"], request["images"], str(output), _incremental_options(request),
            initial_image_pair_callback=_counter(2), next_image_callback=_counter(1),
        )  # fmt: skip
    found = []
    for number, model in models.items():
        if model.num_reg_images() < 2 or model.num_points3D() == 0:
            continue
        folder = output / f"model{number}"
        folder.mkdir()
        model.write(str(folder))
        found.append({"folder": str(folder), **_facts(model)})
    return {"models": found}


def undistort(request: dict[str, Any]) -> dict[str, Any]:
    """Pictures of an ideal pinhole camera without black borders, shrunk to the training size, and their cameras."""
    model = pycolmap.Reconstruction(request["model"])
    options = pycolmap.UndistortCameraOptions(blank_pixels=0.0)
    placed = {image.name: image for image in model.images.values() if image.has_pose}
    count = _counter(1)

    def view(name: str) -> dict[str, Any]:
        image = placed[name]
        with Image.open(Path(request["images"]) / name) as file:
            distorted = pycolmap.Bitmap.from_array(np.asarray(file.convert("RGB")))
        bitmap, camera = pycolmap.undistort_image(options, distorted, model.cameras[image.camera_id])
        full = (camera.width, camera.height)
        size = shrink(*full, request["long_side"])
        write_shrunk(bitmap.to_array(), Path(request["output"]) / name, size)
        count()
        pose = image.cam_from_world().matrix()
        return {
            "image": name, "width": size[0], "height": size[1],
            "K": scaled_intrinsics(camera.params, full, size).tolist(),
            "world_to_camera": [*pose.tolist(), [0.0, 0.0, 0.0, 1.0]],
        }  # fmt: skip

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return {"views": list(pool.map(view, [name for name in request["names"] if name in placed]))}


ACTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    action.__name__: action for action in (extract, match, forget_matches, reconstruct, undistort)
}


def main(request_path: Path) -> None:
    """Runs one request; an exception ends the process with its traceback on stderr."""
    request = json.loads(request_path.read_text(encoding="utf-8"))
    # The pictures were made by a process that had read a stranger's file: no network, no programs, no other folder.
    lockdown.complete([Path(request["workspace"])], read=None, rules=seccomp.NO_NETWORK)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pycolmap.logging.minloglevel = 2
    pycolmap.set_random_seed(request.get("seed", 0))
    result = ACTIONS[request["action"]](request)
    write_atomically(Path(request["result"]), [json.dumps(result).encode()])


def _end_with_parent() -> None:
    """The parent holds the other end of stdin; it closes when the parent dies, however it dies."""
    while os.read(0, 1):  # not sys.stdin: its lock, held here, would abort the interpreter at a normal end
        pass
    os._exit(ORPHANED)


def _incremental_options(request: dict[str, Any]) -> pycolmap.IncrementalPipelineOptions:
    options = pycolmap.IncrementalPipelineOptions(
        random_seed=request["seed"], num_threads=request["threads"], max_runtime_seconds=request["max_runtime_s"]
    )
    # Without this range a forward flight collapsed to a focal length of 0.18 of the width; no phone has such a lens.
    for part in (options, options.mapper, options.triangulation):
        part.min_focal_length_ratio, part.max_focal_length_ratio = 0.4, 3.0
    return options


def _counter(step: int) -> Callable[[], None]:
    def count() -> None:
        print(json.dumps({"placed": step}), flush=True)

    return count


def _facts(model: pycolmap.Reconstruction) -> dict[str, Any]:
    seen, names = observations(model)
    health, cut = measure(seen)
    return {
        "names": names,
        "points": model.num_points3D(),
        "mean_track_length": model.compute_mean_track_length(),
        "mean_reprojection_error_px": model.compute_mean_reprojection_error(),
        "health": vars(health),
        "smaller_side": [name for name, inside in zip(names, cut.side, strict=True) if inside],
    }


def _first_radial(camera: pycolmap.Camera) -> float:
    names = [name.strip() for name in camera.params_info.split(",")]
    radial = next((i for i, name in enumerate(names) if name in {"k", "k1"}), None)
    return 0.0 if radial is None else float(camera.params[radial])


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
