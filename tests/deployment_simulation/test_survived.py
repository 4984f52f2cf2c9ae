"""A slice of the failures that a deployment survives; `python -m tests.deployment_simulation` plays all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment_simulation.campaign import play
from tests.deployment_simulation.failures import FAILURES, Failure
from tests.deployment_simulation.world import checkout


def failure(text: str, world: str = "first") -> Failure:
    (found,) = [item for item in FAILURES if f"{item.step}: {item.name}" == text and item.world == world]
    return found


@pytest.mark.parametrize(
    ("text", "world"),
    [
        ("provision: quota of the GPU is 0", "working"),
        ("predeploy: roles are unknown for 4 minutes", "first"),
        ("deploy runner: the build takes more than 20 minutes", "working"),
        ("postdeploy: a cold host refuses the handshake for 2 minutes", "first"),
        ("postdeploy: refused (403) when the second job gets its image", "two jobs"),
    ],
)
def test_the_next_run_ends_well_and_nothing_is_lost(text: str, world: str) -> None:
    assert play(failure(text, world)).faults == []


@pytest.mark.parametrize(
    ("path", "before", "after", "noticed_by", "world"),
    [
        ("scripts/lib-images.sh",
         'die $? "the images of the registry $1 cannot be listed; nothing was built. When the cause above is gone: azd'
         ' deploy"', "return 1",
         "predeploy: the registry cannot be read", "working"),
        ("scripts/hooks/preprovision.sh", "if [[ -z $image && $recorded == *.azurecr.* ]]; then", "if true; then",
         "provision: quota of the GPU is 0", "working"),
        ("scripts/hooks/postdeploy.sh", 'retry "$TRIES" subscribe', "subscribe",
         "postdeploy: a cold host refuses the handshake for 2 minutes", "first"),
        ("scripts/lib.sh", 'call az "$@" --subscription "$SUBSCRIPTION"', 'call az "$@"',
         "preprovision: another machine, another subscription selected", "working"),
        ("scripts/lib.sh", "interruptible timeout", "timeout",
         "predeploy: Ctrl-C while the build is looked at", "first"),
        ("scripts/lib-images.sh", 'if built_meanwhile "$registry" "$tag" "$run"; then', "if false; then",
         "predeploy: the answer of the build is lost", "first"),
    ],
    ids=["an unreadable registry taken for an empty one", "the image always forgotten", "the handshake tried once",
         "no subscription named", "Ctrl-C does not reach az", "a build that nobody named is not looked for"],
)  # fmt: skip
def test_a_broken_hook_is_noticed(
    path: str, before: str, after: str, noticed_by: str, world: str, tmp_path: Path
) -> None:
    root = checkout(tmp_path / "checkout", path, before, after)
    assert play(failure(noticed_by, world)).faults == [], "without the fault nothing is found"
    assert play(failure(noticed_by, world), root).faults
