"""Downloads the uploads of a snapshot: exactly these versions, under names of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from runner.files.disk import require_space
from runner.media.settings import Limits
from runner.scene.frames import Clip
from runner.worker.usable_uploads import usable_files
from scenejobs.errors import Conflict, NotFound, UploadsChanged
from scenejobs.names import within_scene
from scenejobs.ports import BlobStore
from scenejobs.state.record import SceneRecord


def download(
    record: SceneRecord, uploads: BlobStore, folder: Path, limits: Limits, min_free_gb: float, check: Callable[[], None]
) -> tuple[Clip, ...]:
    """The usable files of the record's manifest as `<folder>/inputs/0001.mp4`, ... `check` is called before each.

    Raises InputError NO_VIDEO or TOO_LARGE before the first download, ResourceError where the disk cannot hold them
    and `min_free_gb` beside, UploadsChanged for a version that was replaced or deleted, StorageError.
    """
    usable = usable_files(record.scene, record.manifest, limits)
    require_space(folder, input_bytes=sum(blob.size_bytes for blob in usable), reserve_gb=min_free_gb)
    inputs = folder / "inputs"
    inputs.mkdir()
    clips = []
    for number, blob in enumerate(usable, start=1):
        check()
        path = inputs / f"{number:04d}{PurePosixPath(blob.name).suffix.lower()}"
        try:
            uploads.download(blob.name, path, if_match=blob.etag)
        except (Conflict, NotFound) as exc:
            raise UploadsChanged(f"{blob.name} was replaced or deleted before it was read") from exc
        clips.append(Clip(within_scene(blob.name, record.scene), path))
    return tuple(clips)
