"""What the manifest of a published result says."""

from __future__ import annotations

import json

from scenejobs.errors import Code, InputError, NotFound, StorageError
from scenejobs.names import refusal
from scenejobs.ports import Containers
from scenejobs.state import layout, records
from scenejobs.state.incoming.accepted import check_scene


def files_of(containers: Containers, scene: str) -> dict[str, str]:
    """The files of a scene's result with their SHA-256, "" where the manifest tells none; itself is the last.

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
    return {**outputs, layout.MANIFEST: ""}


def _outputs(scene: str, manifest: bytes) -> dict[str, str] | None:
    """Name and SHA-256 ("" where it tells none) of each file; None while they are replaced. Raises StorageError."""
    try:
        document = json.loads(manifest)
        if layout.PUBLISHING in document:
            return None
        outputs = {str(output["name"]): str(output.get("sha256", "")) for output in document["outputs"]}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise StorageError(f"the manifest of scene {scene} cannot be read", advice="it was tampered with") from exc
    for name in outputs:
        if refusal(name):
            raise StorageError(f"the manifest of scene {scene} names {name!r}", advice="it was tampered with")
    return outputs
