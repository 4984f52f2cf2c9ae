"""What code inside the sandbox must not take: memory, time, words, files. Real processes; see tests/hostile.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scenejobs.errors import Code, InputError
from tests.attacks import GIB, attack, needs_landlock, refused

pytestmark = needs_landlock


@pytest.mark.parametrize("name", ["much_memory", "much_mapped_memory"])
def test_memory_beyond_the_limit_refuses_the_video(name: str) -> None:
    with pytest.raises(InputError, match=r"view1\.mp4 takes more than 1\.0 GiB of memory") as caught:
        attack(name, bytes=2 * GIB)
    assert caught.value.code == Code.TOO_LARGE


def test_processor_time_beyond_the_limit_refuses_the_video() -> None:
    with pytest.raises(InputError, match=r"more than 1 s of computing") as caught:
        attack("spin", cpu_s=1)
    assert caught.value.code == Code.TOO_LARGE


def test_a_decoder_that_hangs_is_ended() -> None:
    with pytest.raises(InputError, match=r"did not come to a picture for 1 s") as caught:
        attack("sleep", silence_s=1)
    assert caught.value.code == Code.UNSAFE_VIDEO


def test_reports_do_not_prolong_the_time_and_cannot_forge_lines() -> None:
    details: set[str] = set()
    with pytest.raises(InputError, match=r"takes more than 1 s") as caught:
        attack("chatter", wall_s=1, silence_s=30, on_progress=lambda _share, detail: details.add(detail))
    assert caught.value.code == Code.TOO_LARGE
    assert "\\x1b[2J\\nforged line" in details


@pytest.mark.parametrize("name", ["flood", "complain"])
def test_a_flood_of_words_is_thrown_away(name: str) -> None:
    """The parent's memory does not grow: 65 MB/s and more would show."""
    before = _resident_bytes()
    with pytest.raises(InputError):
        attack(name, wall_s=1)
    assert _resident_bytes() - before < 64 << 20


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(os.getuid() != 0, reason="without a user of its own its threads are bounded by memory")
def test_threads_are_bounded() -> None:
    assert int(attack("many_threads", memory=4 * GIB)["done"].split()[0]) < 64


def test_a_file_beyond_its_size_is_not_written(own: Path) -> None:
    assert attack("large_file", own) == {"refused": "File too large"}
    assert (own / "large").stat().st_size <= 1 << 20


def test_folders_are_not_made(own: Path) -> None:
    """A tree thousands deep could not be removed."""
    assert refused(attack("folder", own))


@pytest.mark.parametrize("name", ["many_files", "many_files_and_an_end"])
def test_more_files_than_asked_for_refuse_the_video(own: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"wrote more than it was asked for") as caught:
        attack(name, own)
    assert caught.value.code == Code.UNSAFE_VIDEO
