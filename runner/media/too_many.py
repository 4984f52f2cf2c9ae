"""Which files are left out of a scene that has more videos or photos than are used of one."""

from __future__ import annotations

from collections.abc import Container, Sequence

from runner.media.settings import Kind, Limits, kinds
from runner.scene.inputs.live_photos import pairs_by_name
from scenejobs.errors import Code, InputError


def too_many(
    videos: Sequence[str], photos: Sequence[str], limits: Limits, *, new: Container[str] = (), paired: bool = True
) -> dict[str, InputError]:
    """The files beyond the limits, by name, each with its TOO_LARGE. What is used is spread evenly over the order of
    the names, in which a camera numbers them; `new` ones, which the scene was not made of before, go first.

    paired: a video that is named like a photo is not counted: it may be its moving part, and goes with it.
    """
    of_videos, of_photos = kinds(limits)
    by_name = pairs_by_name(videos, photos) if paired else {}
    left_out = _beyond(photos, of_photos, new)
    with_photo = {video: left_out[photo] for video, photo in by_name.items() if photo in left_out}
    return left_out | with_photo | _beyond([name for name in videos if name not in by_name], of_videos, new)


def _beyond(names: Sequence[str], kind: Kind, new: Container[str]) -> dict[str, InputError]:
    if len(names) <= kind.most:
        return {}
    first = _spread([name for name in names if name in new], kind.most)
    kept = {*first, *_spread([name for name in names if name not in new], kind.most - len(first))}
    cause = f"the scene has {len(names)} {kind.what}; {kind.most} of them are used"
    advice = f"upload fewer, or raise {kind.setting}"
    return {
        name: InputError(f"{name} is left out: {cause} ({kind.setting})", code=Code.TOO_LARGE, advice=advice,
                         stage="validation", files=(name,))
        for name in names if name not in kept
    }  # fmt: skip


def _spread(names: Sequence[str], most: int) -> Sequence[str]:
    """`most` of them, evenly."""
    if len(names) <= most:
        return names
    return [names[index * len(names) // most] for index in range(most)]
