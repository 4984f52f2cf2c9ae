"""The stages of a job in one place: their names and order, their shares of the progress, the files they leave."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """In order, named as in .checkpoint.json, progress, metrics and errors."""

    VALIDATION = "validation"  # are the uploads there, and readable as poses where they are poses
    FRAMES = "frame_extraction"
    METADATA = "metadata_extraction"  # never runs: FRAMES reads the metadata. A promised name of .checkpoint.json
    MANIFEST = "manifest_generation"  # never runs: the manifest is written last. A promised name as well
    POSES = "colmap_reconstruction"  # camera poses, sparse points, undistorted views
    TRAINING = "training"
    CLEAN_UP = "clean_up"  # floaters, up, scores, pictures of the report
    PLY = "ply_export"
    SPLAT = "splat_export"
    SMALL = "small_exports"  # .spz, compressed PLY, and the viewer page


# In the times of a run: a doubtful scene that is made again from other poses. To progress and checkpoint it is a part
# of CLEAN_UP; the estimate of that one learns from what it took, and must not learn from this.
MADE_AGAIN = "made_again"

# Of a typical run, for the total percentage. The two stages that never run keep theirs: without them every percentage
# from POSES on would change, which people and monitors compare between versions.
SHARES: dict[str, float] = {
    Stage.VALIDATION: 0.01,
    Stage.FRAMES: 0.06,
    Stage.METADATA: 0.01,
    Stage.MANIFEST: 0.01,
    Stage.POSES: 0.30,
    Stage.TRAINING: 0.54,
    Stage.CLEAN_UP: 0.02,
    Stage.PLY: 0.01,
    Stage.SPLAT: 0.02,
    Stage.SMALL: 0.02,
}

# What a stage leaves in the workspace for an attempt that resumes it, in the order of the stages. The marker is first
# here and written last, so that its presence means "finished".
RESUME_FILES: dict[str, tuple[str, ...]] = {
    Stage.FRAMES: ("frames.json",),
    Stage.POSES: (
        "sparse.json", "sparse/cameras.bin", "sparse/frames.bin", "sparse/images.bin", "sparse/points3D.bin",
        "sparse/rigs.bin",
    ),
    Stage.TRAINING: ("training/state.npz",),
}  # fmt: skip
