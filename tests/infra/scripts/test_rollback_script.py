"""rollback.sh: one command gives the job the image it had before."""

from __future__ import annotations

import pytest

from tests.infra.scripts.scripted import Bench, option

ROLLBACK = "scripts/rollback.sh"
NEW, MIDDLE, OLD = (f"sha256:{letter * 64}" for letter in "cba")


def registry(bench: Bench, image: str) -> Bench:
    """Three images, the newest with two tags, and a job that runs one of them."""
    bench.answers = [answer for answer in bench.answers if answer["call"] != "containerapp job show"]
    bench.answer("containerapp job show", f"crdev.azurecr.io/{image}\n")
    rows = [(NEW, "azd-deploy-3"), (NEW, "v3"), (MIDDLE, "azd-deploy-2"), (OLD, "abc-2026")]
    bench.answer("acr repository show-tags", "".join(f"{digest}\t{tag}\n" for digest, tag in rows))
    return bench


@pytest.mark.parametrize(
    ("image", "before"),
    [(f"runner@{NEW}", MIDDLE), (f"runner@{MIDDLE}", OLD), ("runner:azd-deploy-3", MIDDLE)],
)
def test_the_image_before_is_given_by_digest_and_remembered(image: str, before: str, provisioned: Bench) -> None:
    bench = registry(provisioned, image)
    bench.answer("acr repository show ", f"{NEW}\n")  # of a tag, as azd writes it
    ended = bench.run(ROLLBACK)
    assert ended.code == 0, ended.err
    (update,) = ended.called("job update")
    assert option(update, "--image") == f"crdev.azurecr.io/runner@{before}"
    (remembered,) = ended.called("azd env set")
    assert remembered[-2:] == ["SERVICE_RUNNER_IMAGE_NAME", f"crdev.azurecr.io/runner@{before}"]
    assert before in ended.out


def test_the_oldest_has_none_before_it_and_nothing_is_changed(provisioned: Bench) -> None:
    ended = registry(provisioned, f"runner@{OLD}").run(ROLLBACK)
    assert ended.code == 1
    assert ended.called("job update") == ended.called("env set") == []
    assert "older" in ended.err


@pytest.mark.parametrize(("wanted", "digest"), [("abc-2026", OLD), (MIDDLE, MIDDLE)])
def test_one_can_be_named_by_tag_or_digest(wanted: str, digest: str, provisioned: Bench) -> None:
    ended = registry(provisioned, f"runner@{NEW}").run(ROLLBACK, "--to", wanted)
    assert ended.code == 0, ended.err
    (update,) = ended.called("job update")
    assert option(update, "--image").endswith(digest)


def test_the_list_shows_which_the_job_runs_and_changes_nothing(provisioned: Bench) -> None:
    ended = registry(provisioned, f"runner@{MIDDLE}").run(ROLLBACK, "--list")
    assert ended.code == 0
    assert [line.split()[-2:] for line in ended.out.splitlines() if line.startswith("*")] == [["azd-deploy-2", MIDDLE]]
    assert len(ended.out.splitlines()) == 4
    assert ended.called("job update") == []


@pytest.mark.parametrize(
    ("image", "arguments", "code"),
    [
        (f"runner@{NEW}", ["--to", "unknown"], 1),
        (f"runner@sha256:{'f' * 64}", [], 1),  # its tags were removed
        ("other.azurecr.io", [], 1),
        (f"runner@{NEW}", ["--to", "a b"], 2),
        (f"runner@{NEW}", ["--to", NEW], 0),
    ],
)
def test_what_cannot_be_done_changes_nothing(image: str, arguments: list[str], code: int, provisioned: Bench) -> None:
    bench = registry(provisioned, image)
    if image == "other.azurecr.io":  # the image that azd provision gives a new job
        placeholder = "mcr.microsoft.com/k8se/quickstart-jobs:latest\n"
        bench.answers.insert(0, {"call": "containerapp job show", "out": placeholder})
    ended = bench.run(ROLLBACK, *arguments)
    assert ended.code == code, ended.err
    assert ended.called("job update") == ended.called("env set") == []
