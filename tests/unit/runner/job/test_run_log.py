"""The log of one run is collected without secrets, and its end is kept."""

from __future__ import annotations

import logging
from pathlib import Path

from runner.job.run_log import collected, tail


def test_what_is_logged_during_a_run_is_collected_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with collected(path):
        logging.getLogger("runner.test").warning("asked https://a.example/b?sv=1&sig=c2VjcmV0c2VjcmV0&se=2")
    logging.getLogger("runner.test").warning("after")
    text = path.read_text(encoding="utf-8")
    assert "asked https://a.example/b" in text
    assert "c2VjcmV0" not in text
    assert "after" not in text


def test_the_end_of_a_long_log_is_kept_from_the_beginning_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    assert tail(path) == b""
    path.write_bytes(b"first\nsecond\nthird\n")
    assert tail(path) == b"first\nsecond\nthird\n"
    assert tail(path, limit_bytes=10) == b"third\n"
