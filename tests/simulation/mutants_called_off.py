"""The rules of scenes that are called off or deleted, each switched off."""

from __future__ import annotations

from function_app import starter
from runner.worker import called_off
from scenejobs.state import cancelling, generations
from scenejobs.state.cancelling import Cancelled
from scenejobs.state.notices import events, outbox
from scenejobs.state.record import SceneRecord
from scenejobs.state.removal import deletion, erasure
from tests.simulation import replacements_called_off as new
from tests.simulation.mutant import Mutant, Patch, always

TOLD = (
    Mutant("told from memory", "the outbox is there before the message", (always(outbox, "opened", None),), "told"),
    Mutant(
        "struck off, then told",
        "an event is struck off when its target has it",
        (Patch(outbox, "_sent", new.struck_off_first),),
        "told",
    ),
    Mutant(
        "named and forgotten",
        "the note of a generation knows whom its settings name",
        (Patch(generations, "of", new.of_nobody),),
        "told",
    ),
    Mutant("over too early", "an outbox goes when its scene has ended", (always(outbox, "_is_over", True),), "told"),
    Mutant(
        "told anew each time",
        "the id of an event is that of what happened",
        (Patch(events.Event, "id", new.id_of_the_moment),),
        "told",
    ),
)
CALLED_OFF = (
    Mutant(
        "called off and run",
        "uploads that are called off count no more",
        (always(Cancelled, "covers", False),),
        "cancelled",
    ),
    Mutant(
        "called off and worked on",
        "a runner looks at the note beside its work",
        (always(called_off.CalledOff, "look", None),),
        "cancelled",
    ),
    Mutant(
        "called off and wished for",
        "who is called off wishes for nothing",
        (Patch(SceneRecord, "called_off", new.called_off_with_its_wish),),
        "cancelled",
        limit=300,
    ),
    Mutant(
        "called off for ever",
        "a new upload voids the note",
        (always(Cancelled, "covers", True),),
        "cancelled",
    ),
    Mutant("called off after a retry", "a retry removes the note", (always(cancelling, "lift", True),), "cancelled"),
    Mutant(
        "void and there",
        "a note that is void is removed",
        (always(cancelling, "remove", None),),
        "cancelled",
    ),
    Mutant(
        "started for nothing",
        "a message about a scene that is called off starts no execution",
        (always(starter.Starter, "_cancelled", 0),),
        "cancelled, users",
        limit=300,
    ),
    Mutant(
        "called off and decided",
        "who calls off too late keeps nothing from its end",
        (Patch(cancelling, "is_off", new.off_whatever_is_decided),),
        "cancelled, users",
        limit=1000,
    ),
    Mutant(
        "called off and never idle",
        "what the record of a scene asks for that is called off is taken back",
        (always(cancelling, "settle", False),),
        "cancelled, users",
        limit=300,
    ),
    Mutant(
        "deleted, then said",
        "the record says that everything goes before it goes",
        (Patch(erasure._Erasing, "run", new.erase_then_say),),
        "deleted",
    ),
    Mutant(
        "deleted and begun",
        "nothing begins while everything is being deleted",
        (Patch(SceneRecord, "erasing", new.erasing_unheld),),
        "deleted",
        limit=500,
    ),
    Mutant(
        "deleted in any order",
        "a manifest goes before its files, a reason after what it explains",
        (always(erasure, "_order", 1),),
        "deleted, users",
    ),
    Mutant(
        "result deleted, then said",
        "the record says that a result goes before it goes",
        (Patch(deletion, "delete", new.delete_then_say),),
        "deleted",
    ),
)
