"""JSON documents: strict, in UTC, and whole or not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from runner.files import atomic, json_file
from tests.results import written


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    values = {"a": float("nan"), "b": np.float32("inf"), "c": np.array([1.0, -np.inf]), "d": (np.int64(3), True)}
    assert written(values, tmp_path) == {"a": None, "b": None, "c": [1.0, None], "d": [3, True]}


def test_what_has_no_place_in_json_is_a_type_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Path cannot be written"):
        json_file.write_json(tmp_path / "document.json", {"path": tmp_path})
    assert list(tmp_path.iterdir()) == []


def test_times_are_told_in_utc() -> None:
    assert json_file.utc(datetime(2026, 11, 23, 13, 0, tzinfo=timezone(timedelta(hours=1)))) == (
        "2026-11-23T12:00:00.000Z"
    )
    with pytest.raises(ValueError, match="no time zone"):
        json_file.utc(datetime(2026, 11, 23))


def test_a_failed_write_leaves_the_old_document(tmp_path: Path) -> None:
    target = tmp_path / "metrics.json"
    report = json_file.write_json(target, {"name": "Größe"})
    content = target.read_bytes()
    assert (report.size_bytes, report.sha256) == (len(content), hashlib.sha256(content).hexdigest())

    def torn() -> Iterator[bytes]:
        yield b"{"
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        atomic.write_atomically(target, torn())
    assert target.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]
