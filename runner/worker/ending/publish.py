"""Uploads the outputs of a run into a folder of its own, and after the commit copies them to where the user looks.

Readers trust `manifest.json`: it names no file while files are replaced, and comes last, so files of different runs
never pass as one result. Every change names the version it replaces, so a runner that was paused and lost the scene
changes nothing. For the same reason the manifest is never removed but replaced by one that names no file: where no
version can be named, a paused runner could bring back an old one.
"""

from __future__ import annotations

import contextlib
import json
import mimetypes
from collections.abc import Callable
from pathlib import Path

from runner.files.describe import describe_file
from scenejobs.errors import Code, Conflict, NotFound, RunnerError, StorageError
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.blobs import OutputFile
from scenejobs.state.copies import SOURCE_ETAG, find, is_copy
from scenejobs.state.layout import MANIFEST, PUBLISHING, published_name, run_folder
from scenejobs.state.record import SceneRecord


def upload_outputs(
    folder: Path, output: BlobStore, scene: str, run: str, check: Callable[[], None]
) -> tuple[OutputFile, ...]:
    """Every file below `folder` into the run's own folder, with size and hash. `check` is called before each.

    Raises RunnerError when the manifest is missing: then the job did not finish its results.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = tuple(_described(path, path.relative_to(folder).as_posix()) for path in paths)
    if MANIFEST not in (file.name for file in files):
        raise RunnerError(f"the job ended without writing {MANIFEST}", code=Code.BUG, stage="upload")
    for path, file in zip(paths, files, strict=True):
        check()
        content_type, _ = mimetypes.guess_type(path.name)
        output.upload(path, run_folder(scene, run) + file.name, content_type=content_type)
    return files


def _described(path: Path, name: str) -> OutputFile:
    written = describe_file(path)
    return OutputFile(name, written.size_bytes, written.sha256)


def publish(record: SceneRecord, output: BlobStore, check: Callable[[], None]) -> None:
    """Copies the committed run to `output/<scene>/`, the manifest last, then removes what only older runs published.

    May be repeated. Raises StorageError.
    """
    folder = run_folder(record.scene, record.run)
    committed = {file.name: _committed(output, folder, file) for file in record.outputs}
    manifest, name = committed[MANIFEST], published_name(record.scene, MANIFEST)
    found = find(output, name)
    if not is_copy(found, manifest.etag):  # it comes last: where it is, all is there
        _publish(record, output, committed, found, check)
    _remove_stale(record, output, check)


def _publish(
    record: SceneRecord,
    output: BlobStore,
    committed: dict[str, BlobInfo],
    found: BlobInfo | None,
    check: Callable[[], None],
) -> None:
    """`found`: the published manifest, if any. `committed`: the files of the run by their names."""
    manifest, name = committed[MANIFEST], published_name(record.scene, MANIFEST)
    check()
    etag = output.write(
        name, _names_no_file(record.run), if_match=found.etag if found else None, if_absent=found is None
    )
    for file in sorted(committed.keys() - {MANIFEST}):
        _replace(output, committed[file], published_name(record.scene, file), check)
    data, _ = output.read(manifest.name)
    check()
    output.write(name, data, if_match=etag, metadata={SOURCE_ETAG: manifest.etag})


def _remove_stale(record: SceneRecord, output: BlobStore, check: Callable[[], None]) -> None:
    """Copies of ours directly in the scene's folder that this run did not write.

    Only the listed versions are removed, listed before the check: a runner that is paused after it removes nothing
    that its successor published meanwhile. What bears no mark of ours is somebody else's and stays.
    """
    folder = published_name(record.scene, "")
    published = {folder + file.name for file in record.outputs}
    for info in list(output.list(folder)):
        rest = info.name.removeprefix(folder)
        if info.name in published or SOURCE_ETAG not in info.metadata or "/" in rest:
            continue
        check()
        with contextlib.suppress(NotFound, Conflict):  # an earlier runner's work, or a successor's
            output.delete(info.name, if_match=info.etag)


def _names_no_file(run: str) -> bytes:
    return json.dumps({PUBLISHING: run, "outputs": []}).encode()


def _committed(output: BlobStore, folder: str, file: OutputFile) -> BlobInfo:
    found = find(output, folder + file.name)
    if found is None or not found.whole or found.size_bytes != file.size_bytes:
        raise StorageError(
            f"{folder}{file.name} of a committed run is missing or has another size",
            advice="restore it (soft delete), or remove the scene's record to process the archived inputs again",
        )
    return found


def _replace(output: BlobStore, source: BlobInfo, name: str, check: Callable[[], None]) -> None:
    found = find(output, name)
    if is_copy(found, source.etag):
        return
    if found is not None and not found.whole and found.metadata.get(SOURCE_ETAG) == source.etag:
        check()  # begun by an earlier runner: asking again waits for it
    else:
        _remove(output, name, check)
    output.copy_from(output, source.name, name, source_etag=source.etag, if_absent=True)


def _remove(output: BlobStore, name: str, check: Callable[[], None]) -> None:
    """Removes the version that is there now, if any.

    Looked up before the check: a runner paused after it holds the ETag of a version that no longer exists.
    """
    old = find(output, name)
    check()
    if old is None:
        return
    try:
        output.delete(name, if_match=old.etag)
    except NotFound:
        return
    except Conflict:
        if find(output, name) is not None:  # the repeated delete of a lost answer reads like a conflict
            raise
