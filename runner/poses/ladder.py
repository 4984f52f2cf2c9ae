"""Which method to try next, and which result to keep. Pure: nothing here looks at a clock or starts anything.

The order of the rungs is that of docs/stages.md ("The pose ladder"); what each is good for was measured.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from runner.poses.gates import Thresholds, Verdict, lens_is_impossible
from runner.poses.prices import expected_s, pair_count
from runner.poses.rungs import Attempt, Matching, Part, Rivals, Rung
from runner.poses.settings import PoseSettings
from scenejobs.errors import Code
from scenejobs.filming import EACH_PLACE

STRONG_IMAGE_SIZE = 1600  # px, of the try with more features
MOST_FEATURES = 8192
CAPPED = 0.9  # of the features asked for: with fewer the frames have no more, and a higher limit finds none
PATIENCE = 2.0  # times what a second way is expected to take: it is ended later than that only
RIVAL = 0.8  # of the seconds of the longest part: whoever films two places films them about equally
LOW_SHARE = Thresholds().low_share  # of the frames registered; below, half of what was filmed may still be missing


def rivals_of(kept: Part, rest: Sequence[Part]) -> tuple[Rivals, ...]:
    """The chosen part beside each other healthy part of other shots that joins as many and is about as long."""
    return tuple(
        (frozenset(kept.shots), frozenset(other.shots))
        for other in rest
        if kept.verdict.passed and other.verdict.passed
        and len(other.shots) >= len(kept.shots) and not set(other.shots) & set(kept.shots)
        and other.seconds >= RIVAL * kept.seconds
    )  # fmt: skip


def nothing_joins(rivals: Sequence[Rivals], links: Iterable[tuple[str, str]]) -> bool:
    """Whether two places of the same weight were found, and no mapping can find more than these.

    links: the shots of each two images that fit together.
    """
    places = [place for pair in rivals for place in pair]
    between = {frozenset(pair) for pair in links if pair[0] != pair[1]}
    return bool(places) and all(any(pair <= place for place in places) for pair in between)


def choose_part(kept: Part, rivals: Sequence[Rivals]) -> Verdict:
    """The verdict on the part that joins most shots, then most seconds of them.

    A rival is the scene as much as this part is: nothing says which of them was meant, and neither is made. That
    holds for later rungs too: one that finds only one of two places does not say which was meant.
    """
    inside = set(kept.shots)
    for one, other in rivals:
        if kept.verdict.passed and bool(inside & one) != bool(inside & other):
            return two_places(one, other)
    return kept.verdict


def two_places(one: Collection[str], other: Collection[str]) -> Verdict:
    """On rivals. one, other: shots."""
    sides = f"{', '.join(sorted(one))} and {', '.join(sorted(other))}"
    text = f"two places of the same weight, with nothing in common: {sides}"
    return Verdict(False, Code.NO_OVERLAP, (text,), EACH_PLACE)


def next_rung(
    tried: Sequence[Attempt], frame_count: int, settings: PoseSettings, max_side: int = 0,
    without: Collection[str] = (),
) -> Rung | None:  # fmt: skip
    """What to try next, or None when something passed, nothing is left that could help, or the time is used up.

    The first rung is always tried, and a second one where the first failed: the cheapest where none fits into the
    budget. max_side: long side of the largest frame in px; 0: not known. without: names of rungs that are not wanted.
    """
    left = untried(tried, frame_count, settings, max_side, without)
    tried = _without_supplied(tried)
    if not tried:
        return next(iter(left), None)
    spent_s = sum(attempt.seconds for attempt in tried)
    prices = {rung: expected_s(rung, tried, frame_count) for rung in left}
    for rung in left:
        if spent_s + prices[rung] <= settings.budget_s:
            return rung
    second_way = len(tried) == 1 and not tried[0].verdict.passed
    return min(left, key=prices.__getitem__, default=None) if second_way else None


def untried(
    tried: Sequence[Attempt], frame_count: int, settings: PoseSettings, max_side: int = 0,
    without: Collection[str] = (),
) -> tuple[Rung, ...]:  # fmt: skip
    """What could still help, in order, whatever time it takes; nothing where what was found is good enough."""
    if any(attempt.rung.supplied and attempt.verdict.passed for attempt in tried):
        return ()  # what the user knows is better than what could be found
    tried = _without_supplied(tried)
    if not tried:
        return (first_rung(frame_count, settings, without),)
    if any(attempt.verdict.passed and not attempt.partial and attempt.share >= LOW_SHARE for attempt in tried):
        return ()
    done = {attempt.rung for attempt in tried}
    return tuple(dict.fromkeys(
        rung for rung in _ladder(tried, frame_count, settings, max_side)
        if rung not in done and str(rung) not in without
    ))  # fmt: skip


def time_for(rung: Rung, tried: Sequence[Attempt], frame_count: int, settings: PoseSettings) -> float | None:
    """Seconds that a rung may take: what is left of the budget, and for a second way what it needs, twice over.

    None for the first: it is run whatever it takes.
    """
    tried = _without_supplied(tried)
    if not tried:
        return None
    left_s = settings.budget_s - sum(attempt.seconds for attempt in tried)
    return max(left_s, PATIENCE * expected_s(rung, tried, frame_count)) if len(tried) == 1 else left_s


def _without_supplied(tried: Sequence[Attempt]) -> list[Attempt]:
    return [attempt for attempt in tried if not attempt.rung.supplied]


def best(tried: Sequence[Attempt]) -> Attempt:
    """What passed, then what joins most shots, then what registers most frames."""
    return max(tried, key=lambda attempt: (attempt.verdict.passed, attempt.shots * (attempt.model is not None),
                                           len(attempt.model.names) if attempt.model else 0))  # fmt: skip


def why(tried: Sequence[Attempt], chosen: Attempt) -> str:
    """In words for the report."""
    if chosen.rung.supplied:
        return "the poses that were supplied passed every gate"
    if len(tried) == 1:
        return "the first way passed every gate" + (" for the part that holds together" if chosen.partial else "")
    others = [attempt for attempt in tried if attempt.rung != chosen.rung]
    passed = sum(attempt.verdict.passed for attempt in others)
    text = f"{len(others) - passed} of {len(others)} other ways failed a gate"
    return text + (f", and {passed} placed no more" if passed else "")


def first_rung(frame_count: int, settings: PoseSettings, without: Collection[str] = ()) -> Rung:
    """The pairs that look most alike, or of few frames all pairs; incremental mapping.

    without: names of rungs whose cameras turned out doubtful: the other mapper comes first then, else more features.
    """
    usual = Rung(
        _matching(settings, frame_count),
        "global" if settings.mapper == "global" else "incremental",
        settings.features_for(frame_count), settings.max_image_size,
    )  # fmt: skip
    others = (_other_mapper(usual), _stronger(usual, (), 0)) if without else ()
    return next((rung for rung in others if str(rung) not in without), usual)


def _ladder(tried: Sequence[Attempt], frame_count: int, settings: PoseSettings, max_side: int) -> list[Rung]:
    """What could help after the last attempt, in order."""
    last, first = tried[-1], first_rung(frame_count, settings)
    lens_bad = last.model is not None and lens_is_impossible(last.model.health)
    if last.verdict.code == Code.STATIC_CAMERA and not lens_bad:
        return []  # no method finds depth where there is no parallax
    # Weak links hold with more pairs where few fail: measured on one scene at four qualities.
    everything = replace(first, matching="exhaustive")
    no_more = pair_count("exhaustive", frame_count) <= pair_count("preselected widely", frame_count)
    known = first.matching == "exhaustive" or any(attempt.rung.matching == "exhaustive" for attempt in tried)
    fits = known or no_more or expected_s(everything, tried, frame_count) <= settings.budget_s / 2
    wide = everything if fits else replace(first, matching="preselected widely")
    if passed := [attempt for attempt in tried if attempt.verdict.passed]:
        if max(attempt.share for attempt in passed) >= LOW_SHARE or (not last.linked and last.rung == wide):
            return [wide]  # a part passed: one more look whether it is all
        return [wide, _stronger(wide, tried, max_side)]
    if lens_bad:
        return [wide, _other_mapper(wide), replace(wide, fixed_lens=True)]
    if any(attempt.disputed for attempt in tried):
        return [wide, replace(wide, fixed_lens=True)]  # what repeats, repeats in finer features too
    if any(attempt.rivals for attempt in tried):
        # Guided matching believes a geometry that few pairs gave by chance: it joined a clip and its mirror image.
        return [wide, _stronger(wide, tried, max_side)]
    if not last.linked and last.rung == wide:
        return []  # not a single pair of frames connects the parts: finer features will not either
    stronger = _stronger(wide, tried, max_side)
    return [wide, stronger, replace(stronger, guided=True), _other_mapper(wide)]


def _matching(settings: PoseSettings, frame_count: int) -> Matching:
    if settings.all_pairs(frame_count):
        return "exhaustive"
    return "sequential" if settings.matcher == "sequential" else "preselected"


def _other_mapper(rung: Rung) -> Rung:
    return replace(rung, mapper="incremental" if rung.mapper == "global" else "global")


def _stronger(rung: Rung, tried: Sequence[Attempt], max_side: int) -> Rung:
    """More features, from where more can come: a higher limit only where it was reached, else weaker ones."""
    found = next((attempt for attempt in tried if attempt.features), None)
    capped = found is None or found.features >= CAPPED * found.rung.features
    size = max(rung.max_image_size, min(STRONG_IMAGE_SIZE, max_side or STRONG_IMAGE_SIZE))
    if capped:
        return replace(rung, features=max(rung.features, min(2 * rung.features, MOST_FEATURES)), max_image_size=size)
    return replace(rung, max_image_size=size, sensitive=True)
