"""What a scene without camera poses is told: what is wrong, in which clip and when, and what to film instead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from runner.poses.bent import bent_in_words
from runner.poses.coverage import Coverage
from runner.poses.gates import NAMED, TOO_LITTLE
from runner.poses.rungs import Attempt
from runner.poses.settings import STAGE
from runner.scene.shots import cut_films
from scenejobs.errors import Code, InputError
from scenejobs.filming import (
    AS_RECORDED,
    AS_TAKEN,
    EACH_PLACE,
    MORE_PHOTOS,
    MORE_TO_SEE,
    ONE_LENS,
    SAME_PLACE,
    SLOWER,
    UNCUT,
    UNIQUE,
    WALK,
    WALK_SIDEWAYS,
)  # fmt: skip
from scenejobs.wording import listed

LOST = (Code.NO_OVERLAP, Code.TOO_FEW_REGISTERED, Code.POSES_UNRELIABLE)  # what shots of several places come to
EDITED = 3  # parts of one clip that do not join; two may be a turn that was too fast
LEAST_FRAMES = 4  # of such a part
# Share of the patches of the pictures that look like what is beside them: walls of tiles 0.6 to 0.9; fox, walk, sceaux
# and banana 0.01 at most.
REPEATS, UNLIKE = 0.3, 0.1
# What whoever took photos is told in the place of how to film.
OF_PHOTOS = {
    **dict.fromkeys((SLOWER, SAME_PLACE, WALK, WALK_SIDEWAYS, MORE_TO_SEE), MORE_PHOTOS),
    **dict.fromkeys((ONE_LENS, AS_RECORDED), AS_TAKEN),
}


def refusal(
    attempt: Attempt, coverage: Coverage, repeats: float | None = None, bent: Sequence[str] = ()
) -> InputError:  # fmt: skip
    """The error for an attempt that did not pass. repeats: `repetition.share_that_repeats`; None: it was not looked at.
    bent: clips whose pictures are bent, each in another way.

    An edited film is called one: its shots show several places, or one from too far apart, and no way of filming
    slower helps. Where no cut was seen (one picture dissolves into the next) its parts are told by what does not join.
    Wrong cameras have several causes that look alike in their numbers: things that repeat are blamed where some do.
    """
    verdict, clips = attempt.verdict, coverage.frames.clips
    cause, code, advice = "; ".join(verdict.reasons), verdict.code, verdict.advice
    if code in LOST and all(clip.turns for clip in clips):
        cause = f"the camera does not move, and what moves before it is not one thing that turns: {cause}"
        code, advice = Code.STATIC_CAMERA, WALK
    elif code in LOST and (edited := cut_films(clips)):
        cause, code, advice = f"{edited}, and its shots do not join to one place: {cause}", Code.NO_OVERLAP, UNCUT
    elif not bent and code in LOST and len(parts := _parts(attempt, coverage)) >= EDITED:
        cause = f"{', '.join(parts)} do not join to one place, as parts of an edited film do not: {cause}"
        code, advice = Code.NO_OVERLAP, UNCUT
    elif advice != EACH_PLACE:
        cause, code, advice = _blamed(attempt, coverage, 0.5 * (REPEATS + UNLIKE) if repeats is None else repeats, bent)
    if all(frame.photo is not None for frame in coverage.frames.frames):
        advice = OF_PHOTOS.get(advice, advice)
    if not any(clip.name in cause for clip in clips):
        cause = f"{cause} ({coverage.where(coverage.names)})"
    return InputError(cause, advice=advice, code=code, stage=STAGE)


def _blamed(
    attempt: Attempt, coverage: Coverage, repeats: float, bent: Sequence[str]
) -> tuple[str, Code | None, str]:  # fmt: skip
    """Cause, code and advice where what is filmed repeats, or a program has steadied or bent the film."""
    verdict = attempt.verdict
    cause, code, advice = "; ".join(verdict.reasons), verdict.code, verdict.advice
    steadied = [clip.name for clip in coverage.frames.clips if clip.steadied]
    moved_little = code == Code.STATIC_CAMERA and attempt.model is not None and TOO_LITTLE in cause
    if repeats >= REPEATS and (code in LOST or moved_little):
        code = Code.POSES_UNRELIABLE if moved_little else code
        return f"what is filmed repeats, and one place of it looks like another: {cause}", code, UNIQUE
    if steadied and code in LOST:
        were, their = ("was", "its") if len(steadied) == 1 else ("were", "their")
        said = f"{listed(steadied, NAMED)} {were} steadied by a program, which bends {their} pictures"
        return f"{said}: {cause}", code, AS_RECORDED
    if bent and code in LOST:
        return f"{bent_in_words(bent)}: {cause}", code, AS_RECORDED
    if repeats < UNLIKE and advice == UNIQUE:
        return f"{cause}, and nothing in them repeats", code, AS_RECORDED
    return cause, code, advice


def _parts(attempt: Attempt, coverage: Coverage) -> list[str]:
    """Clip and time of each model, where all are of one clip and follow each other in it; else nothing."""
    frames = {frame.image: frame for frame in coverage.frames.frames}
    models = [attempt.model, *attempt.others] if attempt.model is not None else []
    found = []
    for model in models:
        times = [frames[name].timestamp_s for name in model.names if name in frames]
        videos = {frames[name].video for name in model.names if name in frames}
        if any(frames[name].photo is not None for name in model.names if name in frames):
            return []  # each was taken for itself
        if len(videos) == 1 and len(times) >= LEAST_FRAMES:
            found.append((min(times), max(times), videos.pop(), model.names))
    found.sort(key=lambda part: part[:2])
    apart = all(one[1] < two[0] for one, two in pairwise(found))
    one_clip = len({video for _, _, video, _ in found}) == 1
    return [coverage.where(names) for *_, names in found] if apart and one_clip else []
