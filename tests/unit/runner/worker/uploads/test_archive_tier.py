"""Uploads in the archive tier, whose bytes cannot be read: told before a run, and nobody waits for them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import Code
from scenejobs.ports import Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.incoming.refused import refused_uploads
from scenejobs.state.overview.status import State
from scenejobs.state.record import Phase
from tests.days import DAY_S, Days
from tests.doubles.faults import Meanwhile
from tests.runner_world import Cloud, echo_job


def archive_tier(days: Days, name: str, tier: str = "Archive") -> None:
    days.stores["input"].guards(name).tier = tier


def test_thirty_of_them_cost_nothing_and_keep_no_scene_waiting(tmp_path: Path) -> None:
    days = Days(tmp_path)
    for number in range(30):
        days.upload(f"cold{number}/a.mp4", bytes([number]))
        archive_tier(days, f"cold{number}/a.mp4")
    assert days.pass_time(DAY_S) == 0
    days.upload("good/a.mp4", b"good")
    days.pass_time(300)
    assert days.status("good").state is State.DONE
    assert days.pass_time(DAY_S) == 0
    status = days.status("cold0")
    assert status.state is State.BLOCKED
    assert Code.ARCHIVE_TIER in status.line()
    assert "rehydrate it" in status.line()
    lines = [item.line() for item in refused_uploads(days.containers, 1)]
    assert len([line for line in lines if Code.ARCHIVE_TIER in line]) == 30
    assert days.queues["poison"].total() == 0
    found = audit(collect(days.containers, Queues(**days.queues), DispatchSettings(), 3, days.clock()))  # type: ignore[arg-type]
    assert len([line.what for line in found.notes if Code.ARCHIVE_TIER in line.what]) == 30
    assert found.violations == ()


def test_the_rest_of_its_scene_runs_and_once_rehydrated_it_extends_the_scene(tmp_path: Path) -> None:
    days = Days(tmp_path)
    days.upload("lobby/a.mp4", b"a")
    days.upload("lobby/b.mp4", b"b")
    archive_tier(days, "lobby/b.mp4")
    days.pass_time(600)
    status = days.status("lobby")
    assert status.state is State.DONE
    assert "b.mp4: ARCHIVE_TIER" in status.line()
    assert days.names("input") == ["lobby/b.mp4"]
    days.stores["input"].guards("lobby/b.mp4").rehydrated_at = days.clock() + timedelta(hours=15)
    assert days.pass_time(14 * 3600) == 0
    assert "up to 15 hours" in days.status("lobby").line()
    days.pass_time(2 * 3600)
    assert days.names("input") == []
    assert days.jobs_run == 2
    assert days.status("lobby").line() == "lobby: done"
    assert sorted(days.json("output", "lobby/manifest.json")["videos"]) == ["a.mp4", "b.mp4"]


def test_one_that_gets_there_before_its_download_is_left_out_of_the_next_attempt(cloud: Cloud) -> None:
    guards = cloud.stores["input"].guards("lobby/view1.mp4")
    later = Meanwhile(lambda: setattr(guards, "tier", "Archive"), "download", "view1")
    cloud.worker(plan=cloud.plan(meanwhile=[later])).drain()
    cloud.settle()
    assert cloud.names("input") == ["lobby/view1.mp4"]
    ending = cloud.record("lobby").ending
    assert ending is not None
    assert "lobby/view1.mp4" not in ending.archived
    assert ending.failure is None


def test_one_that_gets_there_during_the_run_is_the_only_one_that_stays(tmp_path: Path) -> None:
    """Its bytes are in the result. Everything else is published and archived, and it says what it waits for."""
    days = Days(tmp_path)

    def job(job: Job, supervision: Supervision) -> dict[str, object]:
        archive_tier(days, "lobby/b.mp4")
        return echo_job(job, supervision)

    days.job = job
    for name in ("lobby/a.mp4", "lobby/b.mp4", "lobby/c.mp4"):
        days.upload(name, name.encode())
    counts = [days.pass_time(DAY_S, 30.0) for _ in range(2)]
    assert max(counts) <= 12
    assert days.jobs_run == 1
    assert days.names("input") == ["lobby/b.mp4"]
    assert "lobby/manifest.json" in days.names("output")
    status = days.status("lobby")
    assert status.state is State.BLOCKED
    assert "rehydrate it" in status.reason
    blocked = days.record("lobby").blocked
    assert blocked is not None
    assert blocked.code == Code.ARCHIVE_TIER
    archive_tier(days, "lobby/b.mp4", "Hot")
    days.pass_time(DAY_S + 600)
    assert (days.record("lobby").phase, days.names("input"), days.jobs_run) == (Phase.IDLE, [], 1)
