"""How often which fault happens in a schedule. Probabilities are per call unless they say otherwise."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Profile:
    """All zero: nothing goes wrong."""

    # of a call of the dispatcher or the runner
    crash: float = 0.0  # before the call, and as often after it
    busy: float = 0.0  # refused until the adapter's patience was over
    denied: float = 0.0  # refused for a role that has not reached every server yet
    lost: float = 0.0  # the answer was lost; the adapter's retry meets the effect of the first try
    unanswered: float = 0.0  # the call had its effect, and the adapter gave up
    pause: float = 0.0  # of the whole process, or of the thread that calls, before the call
    slow: float = 0.0  # the same after the call: a late answer
    stop: float = 0.0  # SIGTERM, and SIGKILL 30 s later
    # of an upload event
    drop_event: float = 0.0
    double_event: float = 0.0
    late_event: float = 0.0
    # of a start
    start_fails: float = 0.0
    start_ghost: float = 0.0  # accepted, and nothing ever runs
    start_dies: float = 0.0  # the execution ends before it does anything
    start_idles: float = 0.0  # it lives for hours and does nothing
    start_late: float = 0.0  # its runner begins later than START_TIMEOUT_SECS allow, where it is not stopped before
    freezes: float = 0.0  # its runner stands still for hours, soon after it began
    end_unnoticed: float = 0.0  # the platform goes on to list it after its end
    mute: float = 0.0  # its heartbeat falls silent, and its work goes on
    no_machines: float = 0.0  # of a start of the first job: nothing runs. Above 0 there is a fallback job
    machines: bool = False  # machines in serve mode in the place of the function app
    few: bool = False  # at most one execution at a time, or three: as the seed says
    # of a copy on the server
    copy_takes_time: float = 0.0
    copy_fails: float = 0.0
    # of a process
    skew: float = 0.0  # its clock is wrong by up to two hours
    # of a user and a scene
    replaces: float = 0.0  # uploads a name again, at any time
    deletes: float = 0.0
    comes_late: float = 0.0  # uploads more when the first job may already run
    meddles: float = 0.0  # replaces or deletes an upload in the moment an attempt begins
    marks_ready: float = 0.0
    supplies_poses: float = 0.0
    gives_settings: float = 0.0  # a scene.yaml comes before the clips, and again at any time; some are wrong
    sends_blocks: float = 0.0  # of an upload: in blocks, over minutes
    grows: float = 0.0  # of an upload: in place, from no bytes on
    # of a scene that grows, and of each thing its owner may do once it has a result (owners.py)
    adds: float = 0.0  # a clip is added
    spoils: float = 0.0  # a clip is added that is refused by name
    repeats: float = 0.0  # bytes that were uploaded before come again
    excludes: float = 0.0
    retries: float = 0.0
    expires: float = 0.0  # retention removes a file from the archive
    reappears: float = 0.0  # an archived version lies in `input` again, with its old ETag
    shows_less: float = 0.0  # the next result has no frames of one of the clips
    doubts: float = 0.0  # the next result is suspect
    # of a scene and an upload into it
    sends_large: float = 0.0  # for longer than the quiet time
    holds: float = 0.0  # somebody else's lease or snapshot keeps an upload from being deleted
    holds_long: float = 0.0  # for hours
    # of a scene: its user ...
    cancels: float = 0.0  # calls it off, at any time, and may want it after all
    deletes_result: float = 0.0
    erases: float = 0.0  # deletes everything of it
    notices: bool = False  # somebody is told about scenes, and does not always answer
    # of a scene: what its job does
    bad_input: float = 0.0  # InputError
    breaks: float = 0.0  # fails now and then
    kills: float = 0.0  # takes its whole machine with it, every time
    unset: float = 0.0  # ConfigurationError, every time
    # of a schedule
    hostile: float = 0.0  # messages and names that nobody of ours would write
    root_upload: float = 0.0  # a scene that is one file at the root

    @property
    def any_before(self) -> float:
        return self.crash + self.busy + self.denied + self.pause + self.stop

    @property
    def any_after(self) -> float:
        return self.crash + self.slow + self.unanswered + self.lost


CALM = Profile()
USERS = Profile(
    replaces=0.4, deletes=0.15, comes_late=0.3, meddles=0.15, marks_ready=0.1, supplies_poses=0.2,
    sends_blocks=0.2, grows=0.15,
    bad_input=0.12, breaks=0.15, kills=0.08, unset=0.03, hostile=0.2, root_upload=0.2,
)  # fmt: skip
TOLD = replace(USERS, notices=True, gives_settings=0.5)
HARSH = replace(
    USERS, crash=0.008, busy=0.02, denied=0.001, lost=0.02, unanswered=0.008, pause=0.006, slow=0.004, stop=0.003,
    drop_event=0.15, double_event=0.3, late_event=0.2, start_fails=0.25, start_ghost=0.1, start_dies=0.1,
    copy_takes_time=0.3, copy_fails=0.03, skew=0.5,
)  # fmt: skip

GROWS = Profile(
    adds=0.7, spoils=0.2, repeats=0.4, excludes=0.3, retries=0.2, expires=0.2, reappears=0.3, shows_less=0.2,
    doubts=0.2, sends_large=0.4, holds=0.1,
)  # fmt: skip


def growing(profile: Profile) -> Profile:
    """The same, with scenes that grow."""
    return replace(profile, **{field.name: share for field in fields(GROWS) if (share := getattr(GROWS, field.name))})


PROFILES = {
    "calm": CALM,  # no fault at all: everything happens exactly once
    "doubled": Profile(double_event=0.6, late_event=0.3),  # no fault either: events may come twice, and late
    "skewed": Profile(skew=0.9),  # nor is a wrong clock
    "senders": Profile(sends_blocks=0.6),  # nor a clip that is sent for longer than the others are quiet
    "settings": replace(USERS, gives_settings=0.8),
    "scripted": replace(USERS, copy_takes_time=0.4),  # for single crashes: nothing else goes wrong
    "users": USERS,  # only the users are unpredictable
    "harsh": HARSH,  # everything at once
    "crashes": replace(USERS, crash=0.02, start_dies=0.2),
    "zombies": replace(USERS, pause=0.03, slow=0.02, copy_takes_time=0.3),
    "answers": replace(USERS, lost=0.08, unanswered=0.04, busy=0.04),
    "events": replace(USERS, drop_event=0.6, double_event=0.5, late_event=0.4, start_fails=0.4, start_ghost=0.3),
    "copies": replace(USERS, copy_takes_time=0.8, copy_fails=0.15, crash=0.01, pause=0.01),
    "meddlers": replace(USERS, meddles=0.9, deletes=0.4, crash=0.003),
    "idle executions": replace(
        USERS, start_idles=0.25, start_late=0.15, freezes=0.1, end_unnoticed=0.2, mute=0.15, start_ghost=0.05, few=True
    ),
    "no machines": replace(USERS, no_machines=1.0, crash=0.003, start_dies=0.1, start_idles=0.05, few=True),
    "few machines": replace(USERS, no_machines=0.6, pause=0.01, slow=0.01, stop=0.01, start_ghost=0.1),
    "stops": replace(USERS, stop=0.02, start_dies=0.1),
    "machines": replace(
        USERS, machines=True, crash=0.002, busy=0.01, pause=0.003, stop=0.003, start_dies=0.1, skew=0.5
    ),
    "growing": growing(replace(CALM, comes_late=0.3)),  # no fault at all, but scenes that grow
    "growing, scripted": growing(replace(CALM, copy_takes_time=0.2)),  # for single crashes
    "growing, users": growing(USERS),
    "growing, crashes": growing(replace(USERS, crash=0.01, start_dies=0.1)),
    "growing, zombies": growing(replace(USERS, pause=0.015, slow=0.01, copy_takes_time=0.3)),
    "growing, answers": growing(replace(USERS, lost=0.05, unanswered=0.02, busy=0.02)),
    "growing, machines": growing(replace(USERS, machines=True, crash=0.003, lost=0.02)),
    "in blocks": Profile(sends_large=0.95, adds=0.5, drop_event=0.1),
    "archive": Profile(adds=0.8, excludes=0.4, retries=0.5, expires=0.8, reappears=0.8, repeats=0.8),
    "doubtful": Profile(doubts=0.9, adds=0.9, shows_less=0.5, repeats=0.9, excludes=0.3, retries=0.5, crash=0.003),
    "operators": Profile(excludes=0.9, retries=0.9, adds=0.6, crash=0.03),  # whose commands die as well
    "blocked": Profile(holds=0.8, holds_long=0.5),
    "cancelled": Profile(cancels=0.95, comes_late=0.3, adds=0.4, retries=0.4, drop_event=0.2),
    "cancelled, users": replace(USERS, cancels=0.9, crash=0.01, start_dies=0.1, lost=0.02, unanswered=0.01),
    "cancelled, zombies": replace(USERS, cancels=0.9, pause=0.02, slow=0.01, stop=0.005, copy_takes_time=0.3),
    "cancelled, machines": replace(USERS, cancels=0.9, machines=True, crash=0.002, pause=0.003),
    "deleted": Profile(deletes_result=0.5, erases=0.7, cancels=0.2, comes_late=0.3, adds=0.5, retries=0.3, crash=0.01),
    "deleted, users": replace(USERS, deletes_result=0.4, erases=0.6, cancels=0.3, pause=0.01, lost=0.02, crash=0.005),
    "told": replace(TOLD, crash=0.01, unanswered=0.02, lost=0.02, busy=0.03, start_dies=0.1),
    "told, machines": replace(TOLD, machines=True, crash=0.003, lost=0.01, busy=0.02),
    "told, scripted": Profile(notices=True, gives_settings=0.9, comes_late=0.3, bad_input=0.2, retries=0.3),
    "called off, scripted": Profile(
        cancels=0.7, deletes_result=0.5, erases=0.6, adds=0.3, retries=0.3, copy_takes_time=0.2
    ),
}
# each seed has a profile of its own: some faults often, some not at all
MIXED, MIXED_GROWING = "mixed", "growing, mixed"
_MIXTURES = {MIXED: HARSH, MIXED_GROWING: growing(HARSH)}
SCRIPTED = frozenset({"scripted", "growing, scripted", "called off, scripted", "told, scripted"})  # of single crashes


def profile_of(name: str, seed: int) -> Profile:
    """Raises KeyError for a name that is none."""
    if name not in _MIXTURES:
        return PROFILES[name]
    draw, most = random.Random(f"profile {seed}"), _MIXTURES[name]
    # faults whose presence hides others when they are always there: a seed draws how strong each is
    varied = [field.name for field in fields(Profile) if getattr(most, field.name)]
    factors = {name: draw.choice((0.0, 0.5, 1.0, 1.0, 2.5)) for name in varied}
    return Profile(**{name: min(0.9, getattr(most, name) * factor) for name, factor in factors.items()})
