"""What an exception means that nobody caught in the child process of a job."""

from __future__ import annotations

from pathlib import Path

from runner.job.child import unexpected
from scenejobs.errors import Code, ResourceError, RunnerError


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as exc:
        return exc


def test_a_full_disk_in_the_job_is_named_with_what_is_free(tmp_path: Path) -> None:
    error = raised(OSError(28, "No space left on device"))
    found = unexpected(error, error.__traceback__, tmp_path, "training")
    assert (type(found), found.code) == (ResourceError, Code.DISK_FULL)
    assert "MB are free" in found.cause


def test_a_failed_allocation_is_out_of_memory_and_not_a_bug(tmp_path: Path) -> None:
    cuda = type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate 2 GiB\nmore")
    for error in (raised(cuda), raised(MemoryError())):
        found = unexpected(error, error.__traceback__, tmp_path, "training")
        assert (type(found), found.code) == (ResourceError, Code.OUT_OF_MEMORY)


def test_any_other_exception_is_a_bug_with_its_place(tmp_path: Path) -> None:
    error = raised(KeyError("means"))
    found = unexpected(error, error.__traceback__, tmp_path, "training")
    assert (type(found), found.code, found.stage) == (RunnerError, Code.BUG, "training")
    assert "KeyError at test_child.py:" in found.cause
