"""`video-splat MODE` is the image's program with that RUN_MODE, however the environment writes it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from runner import cli as runner
from video_splat.cli import main


@pytest.mark.parametrize(
    ("words", "env", "code"),
    [
        (["watch"], {"RUN_MODE": "WATCH"}, 0),
        (["batch", "lobby"], {"RUN_MODE": "Batch", "BATCH_INPUT_PREFIX": "/lobby/"}, 0),
        (["batch", "lobby"], {"BATCH_INPUT_PREFIX": "Lobby"}, 2),
        (["queue"], {"RUN_MODE": "serve"}, 2),
    ],
)
def test_what_means_the_same_is_no_contradiction(
    words: list[str], env: dict[str, str], code: int,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def started(arguments: Sequence[str]) -> int:
        assert (list(arguments), os.environ["RUN_MODE"]) == ([], words[0])
        return 0

    monkeypatch.setattr(runner, "main", started)
    for name in ("RUN_MODE", "BATCH_INPUT_PREFIX"):
        monkeypatch.setenv(name, env.get(name, ""))
    assert main(words) == code
    assert capsys.readouterr().err.startswith("error: " if code else "")
