"""The rules of two jobs, each switched off."""

from __future__ import annotations

from function_app import starter
from runner.worker import lease
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.state.executions import start_backoff
from tests.simulation import replacements as new
from tests.simulation.mutant import Mutant, Patch, always

TWO_JOBS = (
    Mutant(
        "a lease in each job",
        "one lease of a scene's record over both jobs; who has lost it stops",
        (Patch(MemoryBlobStore, "lease", new.lease_for_everybody), always(lease.RecordLease, "check", None)),
        "few machines",
        limit=300,
    ),
    Mutant(
        "no fallback job",
        "after starts that never began, waiting work goes to the fallback job",
        (always(start_backoff.StarterState, "is_away", False),),
        "no machines",
    ),
    Mutant(
        "idle executions left",
        "where nothing waits, executions of either job that show no life are stopped",
        (always(starter.Starter, "_look_idle", None),),
        "no machines",
        limit=300,
    ),
)
