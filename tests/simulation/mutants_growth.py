"""The rules of scenes that grow, of uploads in progress and of scenes that are blocked, each switched off."""

from __future__ import annotations

from function_app import sweep
from runner.worker.ending import commit, publish
from scenejobs.state import activity, contents, records
from scenejobs.state.executions import back_off
from scenejobs.state.incoming import duplicates, sending, undeleted
from scenejobs.state.layout import GENERATIONS
from scenejobs.state.record import SceneRecord
from tests.simulation import replacements as new
from tests.simulation import replacements_growth as grown
from tests.simulation.mutant import Mutant, Patch, always
from tests.simulation.ports import SimBlobs

GROWING = (
    Mutant(
        "late clips replace",
        "a clip that comes late extends its scene",
        (Patch(contents, "choose", grown.choose_nothing),),
        "growing",
    ),
    Mutant(
        "a name twice",
        "the same name again replaces that file",
        (Patch(contents, "choose", grown.choose_replaced_as_well),),
        "growing",
    ),
    Mutant(
        "failures forgotten",
        "what a failure archived belongs to the scene",
        (Patch(commit, "after", grown.after_success_only),),
        "growing",
    ),
    Mutant(
        "refused and carried",
        "files refused by name are not carried on",
        (Patch(commit, "after", grown.after_with_refused),),
        "growing",
    ),
    Mutant(
        "shrinks without a word",
        "a file that is gone from the archive needs a wish",
        (Patch(contents, "choose", grown.choose_what_is_there),),
        "archive",
    ),
    Mutant(
        "clips lost",
        "a result that loses a published clip does not replace it",
        (always(commit, "lost_clips", ()),),
        "growing",
    ),
    Mutant(
        "suspect over good",
        "a suspect result never replaces one that is not in doubt",
        (always(SceneRecord, "withholds", False),),
        "doubtful",
    ),
    Mutant(
        "withheld and published",
        "a result that is withheld is not published",
        (always(SceneRecord, "withheld", False),),
        "doubtful",
    ),
    Mutant(
        "withheld and part of it",
        "what a withheld result was made from is no part of the published one",
        (Patch(commit, "after", grown.after_as_if_published),),
        "doubtful",
    ),
    Mutant(
        "suspect for ever",
        "a suspect result is replaced by whatever comes next",
        (Patch(SceneRecord, "withholds", grown.withholds_beside_any),),
        "doubtful",
    ),
    Mutant(
        "lost from a suspect one",
        "what only a suspect result shows cannot be lost",
        (Patch(commit, "lost_clips", grown.lost_from_suspect_as_well),),
        "doubtful",
    ),
    Mutant(
        "repeats of anything",
        "the same bytes are no news only while they are part of the published result",
        (Patch(contents, "repeated", grown.repeats_of_anything),),
        "growing",
    ),
    Mutant(
        "reappears as news",
        "a version that was archived before is no news",
        (always(contents, "was_archived", False),),
        "archive",
    ),
    Mutant(
        "put away and forgotten",
        "versions that were put away are remembered",
        (Patch(contents, "remembering", grown.remember_nothing),),
        "archive",
        limit=500,
    ),
    Mutant(
        "put away without a note",
        "what is archived without a run is noted first",
        (Patch(duplicates, "put_away", grown.put_away_without_a_note),),
        "growing",
    ),
    Mutant(
        "more is taken out",
        "only the named file is taken out",
        (Patch(contents, "without", grown.without_any_of_its_kind),),
        "growing",
        limit=200,
    ),
    Mutant(
        "a wish for ever",
        "a wish ends with its generation",
        (Patch(SceneRecord, "closed", grown.closed_with_its_wish),),
        "growing",
    ),
    Mutant(
        "older files stay published",
        "what only an older run wrote does not stay published",
        (always(publish, "_remove_stale", None),),
        "growing",
    ),
    Mutant(
        "noted again",
        "create-once of a generation's note",
        (Patch(SimBlobs, "write", new.writes_over(GENERATIONS)),),
        limit=1000,
    ),
    Mutant(
        "waits for the stalled",
        "an upload that has stalled is not waited for",
        (Patch(sending, "active", grown.all_are_active),),
        "in blocks",
    ),
    Mutant(
        "record before marker",
        "the marker is there before its record is active",
        (Patch(records, "save", grown.save_then_mark),),
        "calm",
    ),
    Mutant(
        "any marker removed",
        "only the marker of the own generation is removed",
        (Patch(activity, "clear", grown.clear_any_version),),
        "growing, zombies",
        limit=1000,
    ),
    Mutant(
        "refused in every sweep",
        "a refused name that is noted costs nothing",
        (Patch(sweep._Pass, "_refuse", grown.refuse_again),),
        "users",
    ),
    Mutant(
        "no back-off", "tries of a blocked scene come later each time", (always(back_off, "after", 0.0),), "blocked"
    ),
    Mutant(
        "done with, and news",
        "an upload that cannot be deleted is no upload any more",
        (Patch(undeleted, "without", grown.everything_is_news),),
        "blocked",
        off=(always(contents, "was_archived", False), always(contents, "repeated", {})),
    ),
    Mutant(
        "never deleted at last",
        "what could not be deleted is tried again",
        (always(undeleted, "clear_away", []),),
        "blocked",
    ),
)
