"""What the manifest of a published result says."""

from __future__ import annotations

from typing import Any

from scenejobs.errors import Code, InputError, NotFound, StorageError
from scenejobs.names import refusal
from scenejobs.ports import Containers
from scenejobs.state import codec, layout, records
from scenejobs.state.blobs import OutputFile
from scenejobs.state.incoming.accepted import check_scene


def files_of(containers: Containers, scene: str) -> dict[str, str]:
    """The files of a scene's result with their SHA-256, "" where the manifest tells none; itself is the last.

    Raises InputError where there is no result, StorageError where the manifest is none.
    """
    return {**{file.name: file.sha256 for file in outputs_of(containers, scene)}, layout.MANIFEST: ""}


def outputs_of(containers: Containers, scene: str) -> tuple[OutputFile, ...]:
    """The files of a scene's result, as its manifest tells them; the manifest itself is none of them.

    Raises InputError where there is no result, StorageError where the manifest is none.
    """
    check_scene(scene)
    none = InputError(
        f"scene {scene} has no finished result", code=Code.NO_SCENE, advice=f"see: scenejobs status {scene}"
    )
    try:
        data, _ = containers.output.read(layout.published_name(scene, layout.MANIFEST))
    except NotFound as exc:
        stored = records.load(containers.state, scene)
        if stored and (expired := stored.record.expired) and stored.record.is_expired:
            raise InputError(
                f"the result of scene {scene} was removed on {expired.at:%Y-%m-%d} ({expired.why})",
                code=Code.NO_SCENE, advice=f"scenejobs retry {scene} makes it again, of what its archive has",
            ) from exc  # fmt: skip
        raise none from exc
    outputs = _outputs(scene, data)
    if outputs is None:
        raise none
    return outputs


def _outputs(scene: str, manifest: bytes) -> tuple[OutputFile, ...] | None:
    """ "" and 0 where it tells no hash or size; None while the files are replaced. Raises StorageError."""
    try:
        document = codec.loads(manifest)
        if layout.PUBLISHING in document:
            return None
        outputs = tuple(_output(found) for found in document["outputs"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise StorageError(f"the manifest of scene {scene} cannot be read", advice="it was tampered with") from exc
    for file in outputs:
        if refusal(file.name):
            raise StorageError(f"the manifest of scene {scene} names {file.name!r}", advice="it was tampered with")
    return outputs


def _output(found: dict[str, Any]) -> OutputFile:
    return OutputFile(str(found["name"]), int(found.get("size_bytes") or 0), str(found.get("sha256", "")))
