"""A job that does not fit is refused before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.files.disk import require_space
from scenejobs.errors import Code, ResourceError


def test_a_job_that_does_not_fit_is_refused_with_the_sizes(tmp_path: Path) -> None:
    require_space(tmp_path, input_bytes=1000, reserve_gb=0)
    with pytest.raises(
        ResourceError, match=r"GB are free in .*, 1000002\.0 GB are needed \(1\.0 GB of input x 2"
    ) as caught:
        require_space(tmp_path, input_bytes=10**9, reserve_gb=1e6)
    assert caught.value.code == Code.DISK_FULL
