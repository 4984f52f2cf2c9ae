"""No secret reaches a child, whichever it is."""

from __future__ import annotations

import pytest

from runner.process.environment import COLMAP, DECODER, EVERY, JOB, Needs, for_child

SECRETS = (
    "AZURE_STORAGE_SAS_TOKEN", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_CONNECTION_STRING", "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER", "MSI_SECRET", "APPLICATIONINSIGHTS_CONNECTION_STRING", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY",
)  # fmt: skip
STARTS = ("LD_PRELOAD", "PYTHONSTARTUP", "PYTHONHOME", "BASH_ENV", "GCONV_PATH")  # changes what a process runs
PRIVATE = ("HOME", "USER", "SSH_AUTH_SOCK")

ALL = pytest.mark.parametrize("needs", [DECODER, COLMAP, JOB], ids=["decoder", "COLMAP", "job"])


@ALL
def test_nothing_secret_passes(needs: Needs) -> None:
    env = dict.fromkeys((*SECRETS, *STARTS), "canary")
    assert "canary" not in for_child(env, needs).values()


@ALL
def test_what_every_child_needs_passes(needs: Needs) -> None:
    env = {name: f"/{name}" for name in EVERY}
    assert for_child(env, needs).items() >= env.items()


@ALL
def test_our_code_is_found_and_no_other(needs: Needs) -> None:
    assert for_child({"PYTHONPATH": "/elsewhere"}, needs)["PYTHONPATH"] == for_child({}, needs)["PYTHONPATH"]


@pytest.mark.parametrize("needs", [DECODER, COLMAP], ids=["decoder", "COLMAP"])
def test_who_works_on_untrusted_files_does_not_learn_who_runs_it(needs: Needs) -> None:
    assert not for_child(dict.fromkeys(PRIVATE, "x"), needs).keys() & set(PRIVATE)


@pytest.mark.parametrize("needs", [DECODER, COLMAP], ids=["decoder", "COLMAP"])
def test_a_process_that_closes_itself_in_starts_no_thread_before(needs: Needs) -> None:
    assert for_child({"OPENBLAS_NUM_THREADS": "8"}, needs)["OPENBLAS_NUM_THREADS"] == "1"


def test_a_default_gives_way_to_what_is_set_and_what_is_fixed_does_not() -> None:
    env = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "ACTIVE", "LOG_FORMAT": "json"}
    made = for_child(env, JOB, defaults={"OMP_NUM_THREADS": "4"}, fixed={"TMPDIR": "/w/tmp"})
    assert (made["OMP_NUM_THREADS"], made["OMP_WAIT_POLICY"]) == ("2", "ACTIVE")
    assert (made["LOG_FORMAT"], made["TMPDIR"]) == ("text", "/w/tmp")
    assert for_child({}, JOB, defaults={"OMP_NUM_THREADS": "4"})["OMP_NUM_THREADS"] == "4"
