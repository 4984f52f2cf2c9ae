"""The checkpoint: readable at every moment, and worth nothing when it is torn or somebody else's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.pipeline.checkpoint import FILE_NAME, Checkpoint, begin, read_checkpoint, write_checkpoint
from runner.scene.progress import STAGES, Report

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def halfway() -> Checkpoint:
    checkpoint = begin("lobby-1", NOON).left("validation", {"videos": 2}, NOON)
    checkpoint = checkpoint.left("frame_extraction", {"frames": 80}, NOON + timedelta(seconds=5))
    return checkpoint.reported(Report("training", 0.5, "step 2500/5000"), NOON + timedelta(seconds=90))


def test_a_checkpoint_comes_back_as_written(tmp_path: Path) -> None:
    write_checkpoint(halfway(), tmp_path)
    assert read_checkpoint(tmp_path, "lobby-1") == halfway()
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]


def test_it_tells_stage_progress_and_what_each_stage_left() -> None:
    document = halfway().to_json()
    assert document["stage"] == "training"
    before = sum(share for stage, share in list(STAGES.items())[: list(STAGES).index("training")])
    assert document["progress"] == pytest.approx(before + STAGES["training"] / 2, abs=1e-4)
    assert document["finished"]["validation"] == {"videos": 2, "finished_at": "2026-11-23T12:00:00.000Z"}
    assert list(document["finished"]) == ["validation", "frame_extraction"]


def test_every_stage_and_the_end_can_be_read_back(tmp_path: Path) -> None:
    checkpoint = begin("lobby-1", NOON)
    for stage in STAGES:
        checkpoint = checkpoint.left(stage, {}, NOON)
        write_checkpoint(checkpoint, tmp_path)
        assert read_checkpoint(tmp_path, "lobby-1") == checkpoint
    write_checkpoint(checkpoint.completed(NOON), tmp_path)
    found = read_checkpoint(tmp_path, "lobby-1")
    assert found is not None
    assert (found.stage, found.progress) == ("completed", 1.0)


def test_another_jobs_checkpoint_is_none(tmp_path: Path) -> None:
    write_checkpoint(halfway(), tmp_path)
    assert read_checkpoint(tmp_path, "lobby-2") is None
    assert read_checkpoint(tmp_path / "elsewhere", "lobby-1") is None


def test_a_torn_file_is_none_at_every_length(tmp_path: Path) -> None:
    write_checkpoint(halfway(), tmp_path)
    content = (tmp_path / FILE_NAME).read_bytes()
    for length in range(len(content) - 2):  # without its last brace
        (tmp_path / FILE_NAME).write_bytes(content[:length])
        assert read_checkpoint(tmp_path, "lobby-1") is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"stage": "dancing"}, {"progress": 1.5}, {"progress": "half"}, {"finished": []},
        {"finished": {"training": 3}}, {"finished": {"dancing": {}}}, {"updated_at": None},
    ],
)  # fmt: skip
def test_a_foreign_document_is_none(tmp_path: Path, change: dict) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({**halfway().to_json(), **change}))
    assert read_checkpoint(tmp_path, "lobby-1") is None


@settings(max_examples=50, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=100), st.just(b"[" * 100_000), st.just(b'{"a":NaN}'), st.just(b"x" * (1 << 21))
    )
)
def test_any_bytes_are_none_and_never_an_exception(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / FILE_NAME).write_bytes(content)
    assert read_checkpoint(folder, "lobby-1") is None
