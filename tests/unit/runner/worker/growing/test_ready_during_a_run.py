"""What becomes ready during a run is taken when the run ends, or its start is asked for then: not with the next sweep.

Runner and dispatcher over the same stores, on a virtual clock. How often the host looks into its queue is not ours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from function_app.wiring import assemble
from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.process.signals import StopFlag
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.errors import Interrupted
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.executions import usage
from scenejobs.state.messages import DebounceCheck
from tests.doubles.faults import Meanwhile
from tests.runner_world import Cloud, echo_job

QUIET_S = 20
PROMPT_S = 30


class Waiting(StopFlag):
    """While the runner waits, time passes and others act."""

    def __init__(self, cloud: Cloud, meanwhile: Callable[[], object]) -> None:
        begin = cloud.clock()
        super().__init__(lambda: (cloud.clock() - begin).total_seconds())
        self._cloud, self._meanwhile = cloud, meanwhile

    def wait(self, seconds: float) -> bool:
        self._cloud.clock.advance(seconds)
        self._meanwhile()
        return self.is_set()


class Both:
    """The runner's cloud with the real dispatcher, in which execution-1 runs for the scene `lobby`."""

    def __init__(self, cloud: Cloud, limit: int) -> None:
        self.cloud, self.clock = cloud, cloud.clock
        self.compute = MemoryCompute(cloud.clock)
        settings = DispatchSettings(quiet_s=QUIET_S, max_parallel_jobs=limit)
        self.app = assemble(
            Containers(**cloud.stores), Queues(**cloud.queues), self.compute, settings, cloud.clock.advance
        )
        cloud.execution = self.compute.start()
        cloud.settings = type(cloud.settings)(**{**vars(cloud.settings), "idle_polls": 3, "idle_wait_s": 5})
        self.host_is_awake = True
        cloud.stop = Waiting(cloud, lambda: self.host() if self.host_is_awake else None)
        self.began: list[datetime] = []
        self.ended: list[datetime] = []

    def upload(self, name: str) -> None:
        self.cloud.upload(name, name.encode())
        self.app.dispatcher.on_upload(name, self.clock())

    def host(self) -> None:
        """The Functions host delivers the checks that are due."""
        queue = self.cloud.queues["debounce"]
        while (message := queue.receive(600)) is not None:
            self.app.dispatcher.on_quiet(DebounceCheck.from_json(message.text))
            queue.complete(message)

    def work(self, during_first: Callable[[], object]) -> None:
        """One execution of the runner, on whatever waits."""

        def job(job: Job, supervision: Supervision) -> dict[str, object]:
            self.began.append(self.clock())
            if len(self.began) == 1:
                during_first()
            self.ended.append(self.clock())
            return echo_job(job, supervision)

        self.cloud.worker(job).drain()


@pytest.fixture(params=[1, 3])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Both:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.queue("lobby")
    return Both(cloud, request.param)


def settle(both: Both) -> None:
    """The quiet time of the last upload passes."""
    both.clock.advance(QUIET_S + 3)
    both.host()


def test_a_clip_that_comes_while_its_scene_runs_is_taken_by_the_same_runner(both: Both) -> None:
    def late() -> None:
        both.upload("lobby/late.mp4")
        settle(both)
        assert both.cloud.queues["jobs"].total() == 1, "a message now would wake an execution in vain"
        assert both.compute.starts == 1

    both.work(late)
    assert len(both.began) == 2
    assert (both.began[1] - both.ended[0]).total_seconds() <= PROMPT_S
    assert both.compute.starts == 1
    assert both.cloud.names("input") == []


def test_with_a_host_that_looks_late_its_start_is_asked_for_in_the_same_look(both: Both) -> None:
    """The execution of before is still listed as running; its last report tells that it takes nothing more."""
    both.host_is_awake = False

    def late() -> None:
        both.upload("lobby/late.mp4")
        settle(both)

    both.work(late)
    assert len(both.began) == 1
    both.host()
    assert both.compute.starts == 2


def test_a_clip_marked_as_ready_in_the_last_moment_is_not_overlooked(both: Both) -> None:
    """The check comes while the runner still has the scene; the runner looks once more when it has let go."""

    def ready() -> None:
        both.upload("lobby/late.mp4")
        both.upload("lobby/_READY")
        both.host()

    plan = both.cloud.plan(meanwhile=[Meanwhile(ready, "release", "state/scenes/lobby.json")])
    both.cloud.worker(plan=plan).drain()
    both.host()
    assert both.cloud.jobs_run == 2 or both.cloud.queues["jobs"].waiting() == 1
    assert both.cloud.jobs_run == 2 or both.compute.starts == 2


def test_another_scene_that_becomes_ready_at_the_limit_is_taken_by_the_same_runner(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.queue("lobby")
    both = Both(cloud, limit=1)

    def other() -> None:
        both.upload("attic/a.mp4")
        settle(both)
        assert both.compute.starts == 1, "the limit is reached"

    both.work(other)
    assert len(both.began) == 2
    assert both.began[1] == both.ended[0]


def test_what_an_execution_has_no_time_for_is_started_when_it_ends(tmp_path: Path) -> None:
    """It waited for the next sweep: the starter took the execution that ended for one that would take it."""
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.queue("lobby")
    both = Both(cloud, limit=1)
    cloud.stop.end_in(600)  # less than what another scene is planned to take

    def other() -> None:
        both.upload("attic/a.mp4")
        settle(both)

    both.work(other)
    assert len(both.began) == 1
    assert cloud.queues["jobs"].waiting() == 1
    both.host()
    assert both.compute.starts == 2
    assert (both.clock() - both.ended[0]).total_seconds() <= PROMPT_S


def test_what_is_given_back_when_the_time_is_over_is_started_again(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.queue("lobby")
    both = Both(cloud, limit=1)

    def over() -> None:
        both.cloud.stop.end_in(0)
        raise Interrupted("the time is over", stage="training")

    with pytest.raises(Interrupted):
        both.work(over)
    both.host()
    assert both.compute.starts == 2


def test_who_was_told_to_stop_asks_for_nobody_else(tmp_path: Path) -> None:
    """Whoever did it may have a reason. The sweep looks in its own time."""
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.queue("lobby")
    both = Both(cloud, limit=1)

    def told() -> None:
        both.cloud.stop.set()
        raise Interrupted("told to stop", stage="training")

    with pytest.raises(Interrupted):
        both.work(told)
    assert both.cloud.queues["debounce"].total() == 0
    assert both.cloud.queues["jobs"].waiting() == 1
    assert both.app.sweeper.sweep().started == 1


@pytest.mark.parametrize("moment", range(6))
def test_a_message_that_comes_as_an_execution_ends_is_seen_by_it_or_starts_another(moment: int, both: Both) -> None:
    """First it says that it ends, then it looks; who sends looks after the sending. One of the two sees the other."""
    cloud = both.cloud
    cloud.upload("attic/a.mp4", b"attic")

    def sent() -> None:
        cloud.queue("attic")
        both.app.dispatcher.starter.ensure_started()

    # the last calls of the runner: its empty looks, its last word, its last look
    probe = cloud.plan()
    cloud.worker(plan=probe).drain()
    others = [call for call in probe.calls if "jobs" in call or "spend" in call]
    verb, _, name = others[-1 - moment].partition(" ")
    nth = sum(call == others[-1 - moment] for call in others[: len(others) - moment]) - 1
    second = cloud.plan(meanwhile=[Meanwhile(sent, verb, name, skip=nth, after=True)])
    cloud.upload("lobby/view2.mp4", b"again")
    cloud.queue("lobby")
    cloud.execution, before = both.compute.start(), both.compute.starts
    both.compute.finish("execution-1")
    cloud.worker(plan=second).drain()
    taken = cloud.queues["jobs"].waiting() == 0
    assert taken or both.compute.starts > before


def test_a_retry_that_is_due_when_its_execution_is_gone_is_started_then(both: Both) -> None:
    upload = Meanwhile(lambda: both.cloud.upload("lobby/view1.mp4", b"first again"), "download")
    both.host_is_awake = False
    both.cloud.worker(plan=both.cloud.plan(meanwhile=[upload])).drain()
    assert both.cloud.jobs_run == 0
    both.clock.advance(61)
    both.host()
    assert both.compute.starts > 1


def test_the_last_report_says_that_the_execution_has_ended_however_it_ends(both: Both) -> None:
    both.work(lambda: None)
    (report,) = usage.on(both.cloud.stores["state"], both.clock().date())
    assert (report.platform_name, report.ended, report.beats) == ("execution-1", True, True)
