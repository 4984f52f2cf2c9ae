"""The rules of the protocol, each switched off by replacing a function. The invariants must notice.

A rule whose absence nothing notices is either not tested or not needed: it is listed with the reason. Where another
rule hides the absence of one, both are off (`Mutant.off`).
"""

from __future__ import annotations

from function_app import chores, debounce, dispatcher, healing, starter, sweep
from runner.worker import attempt, lease, run
from runner.worker import loop as worker_loop
from runner.worker.ending import archive, commit
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.names import is_ready_marker
from scenejobs.ports import BlobInfo
from scenejobs.state import record
from scenejobs.state.executions import life
from scenejobs.state.incoming import sending
from scenejobs.state.layout import BATCHES, RECORDS
from tests.simulation import replacements as new
from tests.simulation.mutant import Mutant, Patch, always
from tests.simulation.mutants_called_off import CALLED_OFF, TOLD
from tests.simulation.mutants_growth import GROWING
from tests.simulation.mutants_two_jobs import TWO_JOBS
from tests.simulation.ports import SimBlobs

# where the replaced names are looked up
ARCHIVE, ATTEMPT, WORK, RUN, COMMIT = archive, attempt, attempt.SceneWork, run, commit
STARTER, SWEEPER, LEASE = starter.Starter, sweep.Sweeper, lease.RecordLease

NO_SWEEP = (always(SWEEPER, "sweep", sweep.SweepReport()), always(SWEEPER, "sweep_if_due", None))
NO_REQUEUE = always(healing, "requeue_lost", healing.Requeued(frozenset(), (), 0))

PROTOCOL = (
    Mutant("no sweep", "the sweep, while events and starts are lost", NO_SWEEP, "events"),
    Mutant(
        "unfenced record",
        "lease and ETag of a record's write",
        (Patch(MemoryBlobStore, "write", new.write_unfenced),),
        limit=1000,
    ),
    Mutant("no lease", "the exclusive lease", (Patch(MemoryBlobStore, "lease", new.lease_for_everybody),)),
    Mutant("delete before copy", "copy, then delete", (Patch(COMMIT, "archive", new.delete_first),)),
    Mutant("pending is whole", "a copy under way is no copy", (always(BlobInfo, "whole", True),), "copies"),
    Mutant(
        "copy any version",
        "the source's ETag in the archive's copy",
        (Patch(SimBlobs, "copy_from", new.copy_any_version),),
    ),
    Mutant(
        "delete any version",
        "the source's ETag in the archive's delete",
        (Patch(SimBlobs, "delete", new.delete_any_version),),
        "meddlers",
        limit=300,
    ),
    Mutant("move what lies there", "the frozen manifest", (Patch(COMMIT, "archive", new.archive_what_lies_there),)),
    Mutant(
        "one name for all generations",
        "create-if-absent and spare names in the archive",
        (Patch(ARCHIVE, "archive_names", new.plain_name_only), Patch(SimBlobs, "copy_from", new.copy_over)),
    ),
    Mutant(
        "counted after the work",
        "the attempt counts before the work",
        (
            Patch(record.SceneRecord, "attempted", new.attempted_for_free),
            Patch(ATTEMPT, "after_failure", new.counted_after_the_work),
        ),
    ),
    Mutant(
        "stamped before sent",
        "message, then stamp; with the sweep's search for lost messages off as well",
        (Patch(dispatcher.Dispatcher, "send", new.stamp_then_send),),
        "scripted",
        limit=1000,
        off=(NO_REQUEUE,),
    ),
    Mutant(
        "started once",
        "starts are counted anew at every look",
        (Patch(STARTER, "ensure_started", new.start_once),),
        "events",
    ),
    Mutant(
        "no hint",
        "the look at what is left after a job",
        (always(worker_loop.Worker, "_ask_for_check", None),),
        redundant="every upload has an event of its own, and the sweep finds what has none; it only shortens the wait",
    ),
    Mutant(
        "all that is listed counts",
        "an execution counts only while it shows life",
        (Patch(life, "judge", new.judged_by_the_listing),),
        "idle executions",
    ),
    Mutant(
        "stopped in doubt",
        "who may hold the lease of a scene is not stopped",
        (Patch(life, "spared", new.nobody_spared),),
        "idle executions",
        limit=300,
    ),
    Mutant("sealed again", "create-once of a batch", (Patch(SimBlobs, "write", new.writes_over(BATCHES)),), "doubled"),
    Mutant("sealed at once", "the quiet time", (Patch(debounce, "decide", new.always_settled),), "calm", limit=1000),
    Mutant(
        "sealed in mid-upload",
        "an upload in progress keeps its scene open",
        (always(sending, "active", ()),),
        "senders",
    ),
    Mutant("poses are enough", "poses alone start nothing", (Patch(debounce, "is_companion", is_ready_marker),)),
    Mutant(
        "local clock", "the service's clock for the age of uploads", (Patch(SimBlobs, "now", new.local_time),), "skewed"
    ),
    Mutant(
        "not alone",
        "the lease around counting and starting",
        (Patch(STARTER, "_alone", new.not_alone), always(STARTER, "_save", None)),
        "calm",
    ),
    Mutant(
        "refused in silence",
        "a refused name is noted",
        (always(dispatcher.Dispatcher, "record_refused", False),),
        "users",
    ),
    Mutant("scenes mixed", "whole segments of names", (Patch(ATTEMPT, "list_scene", new.whole_container),)),
    Mutant(
        "record made anew", "create-once of a record", (Patch(SimBlobs, "write", new.writes_over(RECORDS)),), limit=1000
    ),
    Mutant("vanished for free", "a vanished attempt counts", (Patch(ATTEMPT, "next_step", new.vanished_for_free),)),
    Mutant(
        "given back and counted",
        "a preemption costs no attempt",
        (Patch(record.SceneRecord, "given_back", new.given_back_and_counted),),
        "stops",
    ),
    Mutant("given back for ever", "MAX_PREEMPTIONS", (Patch(ATTEMPT, "after_failure", new.given_back_for_ever),)),
    Mutant(
        "any version downloaded",
        "the ETag of a download",
        (Patch(SimBlobs, "download", new.download_any_version),),
        "meddlers",
    ),
    Mutant("one run folder", "a new folder for each run", (always(worker_loop.Worker, "_new_run", "run"),)),
    Mutant("published over", "the manifest is taken down first", (Patch(COMMIT, "publish", new.publish_over),)),
    Mutant("manifest first", "the manifest comes last", (Patch(COMMIT, "publish", new.publish_manifest_first),)),
    Mutant(
        "reason last",
        "error.json before the inputs move",
        (Patch(COMMIT, "archive", new.archive_then_explain), always(COMMIT, "write_reason", None)),
    ),
    Mutant("completed before the commit", "the message leaves last", (Patch(RUN.Run, "run", new.complete_then_work),)),
    Mutant("thrown away", "work that failed is given back", (Patch(worker_loop.Worker, "_requeue", new.throw_away),)),
    Mutant(
        "completed, then poison",
        "the poison queue first",
        (Patch(worker_loop.Worker, "handle", new.complete_then_poison),),
    ),
    Mutant("no heartbeat", "the lease is renewed", (always(LEASE, "renew_lease_if_due", None),), "calm"),
    Mutant("no self-fence", "who cannot renew stops", (always(LEASE, "check", None),)),
    Mutant(
        "leased when answered",
        "a lease is as old as the question for it",
        (Patch(LEASE, "__init__", new.leased_just_now),),
        "zombies",
        limit=1500,
    ),
    Mutant(
        "commit unchecked",
        "ownership is looked at before the commit",
        (always(WORK, "_before_commit", None),),
        redundant="the commit itself bears lease and ETag and is refused; the look before it only saves work",
    ),
    Mutant(
        "no message renewal",
        "the message is kept hidden",
        (always(LEASE, "renew_message_if_due", None),),
        "calm",  # others find the scene taken and do nothing, but an execution is started for each in vain
    ),
    Mutant(
        "work of any uploads",
        "the digest of the uploads in the place of saved work",
        (Patch(RUN, "resume_location", new.place_for_any_uploads),),
        "meddlers",
        limit=300,
    ),
    Mutant(
        "work kept when closed",
        "saved work is removed when its generation is closed; with its removal by the sweep off as well",
        (always(COMMIT, "forget", None), always(RUN, "forget", None)),
        off=(always(chores, "old_work", []),),
    ),
    Mutant(
        "work kept for ever",
        "the sweep removes saved work; with its removal when a generation is closed off as well",
        (always(chores, "old_work", []),),
        off=(always(COMMIT, "forget", None), always(RUN, "forget", None)),
    ),
    Mutant(
        "no requeue of uploads",
        "the sweep's search for sealed uploads that no message points at",
        (always(healing, "_overdue_uploads", {}),),
        "events",
    ),
    Mutant(
        "no requeue of records",
        "the sweep's search for attempts that stopped in the middle, and for wishes, that no message points at",
        (always(healing, "_overdue_records", {}),),
        "operators",
    ),
)

MUTANTS = (*PROTOCOL, *GROWING, *TWO_JOBS, *CALLED_OFF, *TOLD)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
