"""azure-setup.sh, azure-test.sh, azure-cleanup.sh and upload-testdata.sh: a trial account, and footage for it."""

from __future__ import annotations

import io
import re
import sys
import zipfile

import av
import pytest
from PIL import Image

from local.azurite import Azurite
from scenejobs.settings.storage import StorageSettings
from tests.infra.scripts.scripted import FORBIDDEN, NOT_FOUND, SUBSCRIPTION, Bench, option


def test_setup_makes_an_account_without_keys_and_writes_no_secret(bench: Bench) -> None:
    bench.answer("account show --query id", "sub-id\n")
    bench.answer("group exists", "false\n")
    bench.answer("storage account show", "/the/account\n")
    bench.answer("signed-in-user", "me\n")
    bench.answer("container create", times=2, **FORBIDDEN)  # the roles are not known everywhere yet
    ended = bench.run("scripts/azure-setup.sh", "--account", "sttry")
    assert ended.code == 0, ended.err
    (made,) = ended.called("storage account create")
    assert (option(made, "--allow-shared-key-access"), option(made, "--allow-blob-public-access")) == ("false", "false")
    config = bench.folder / "azure-test-config.env"
    assert config.stat().st_mode & 0o777 == 0o600
    assert "AZURE_STORAGE_ACCOUNT=sttry" in config.read_text()
    assert not re.search("key|sas|secret=", config.read_text(), re.IGNORECASE)


def test_somebody_elses_group_is_neither_taken_nor_deleted(bench: Bench) -> None:
    bench.answer("group exists", "true\n")
    assert bench.run("scripts/azure-setup.sh").code == 2
    (bench.folder / "azure-test-config.env").write_text(
        "AZURE_STORAGE_ACCOUNT=x\nTEST_RESOURCE_GROUP=rg\nTEST_SUBSCRIPTION=s\n"
    )
    ended = bench.run("scripts/azure-cleanup.sh", "--delete-all", "--yes")
    assert ended.code == 2
    assert ended.called("group (create|delete)|account create") == []
    bench.answer("group show", "azure-setup.sh\n")
    assert bench.run("scripts/azure-cleanup.sh", "--delete-all", "--yes").code == 0
    assert not (bench.folder / "azure-test-config.env").exists()


@pytest.mark.parametrize("arguments", [(), ("--delete-all",)])
def test_what_is_cleaned_up_is_listed_and_asked_first(arguments: tuple[str, ...], bench: Bench) -> None:
    config = bench.folder / "azure-test-config.env"
    config.write_text("AZURE_STORAGE_ACCOUNT=sttry\nTEST_RESOURCE_GROUP=rg\nTEST_SUBSCRIPTION=s\n")
    bench.answer("group show", "azure-setup.sh\n")
    bench.answer("resource list", "/s/providers/Microsoft.Storage/storageAccounts/sttry\n")
    bench.answer("blob list", "12\n")
    ended = bench.run("scripts/azure-cleanup.sh", *arguments)
    assert ended.code == 2
    assert ("Microsoft.Storage/storageAccounts/sttry" if arguments else "container input: 12 blobs") in ended.out
    assert ended.called("delete|clear") == []
    bench.env["ANSWERS_FROM_STDIN"], bench.stdin = "1", "y\n"
    assert bench.run("scripts/azure-cleanup.sh", *arguments).code == 0
    bench.answers = []
    bench.answer("group show", **NOT_FOUND)
    config.write_text("AZURE_STORAGE_ACCOUNT=sttry\nTEST_RESOURCE_GROUP=rg\nTEST_SUBSCRIPTION=s\n")
    assert bench.run("scripts/azure-cleanup.sh", *arguments).code == 0, "gone already"


def test_somebody_elses_account_is_not_emptied(bench: Bench) -> None:
    (bench.folder / "azure-test-config.env").write_text(
        "AZURE_STORAGE_ACCOUNT=x\nTEST_RESOURCE_GROUP=rg\nTEST_SUBSCRIPTION=s\n"
    )
    ended = bench.run("scripts/azure-cleanup.sh", "--yes")
    assert ended.code == 2
    assert ended.called("delete|clear") == []


def test_test_data_that_cannot_be_fetched_is_an_error_with_its_cause(bench: Bench) -> None:
    bench.answer("^curl", err="curl: (22) The requested URL returned error: 404\n", code=22)
    ended = bench.run("scripts/upload-testdata.sh", "--download-only", "--dir", str(bench.folder / "data"))
    assert ended.code == 3
    assert "404" in ended.err
    assert not (bench.folder / "data/photos.zip").exists()


def test_test_data_goes_to_the_prefix(provisioned: Bench) -> None:
    clips = provisioned.folder / "data/clips"
    clips.mkdir(parents=True)
    (clips / "complete").touch()
    ended = provisioned.run(
        "scripts/upload-testdata.sh", "--prefix", "hall/", "--dir", str(provisioned.folder / "data")
    )
    assert ended.code == 0, ended.err
    (upload,) = ended.called("upload-batch")
    assert (option(upload, "--destination"), option(upload, "--destination-path")) == ("input", "hall")


def test_photos_become_clips_that_show_every_one(bench: Bench) -> None:
    with zipfile.ZipFile(bench.folder / "photos.zip", "w") as archive:
        for number in range(7):
            picture = io.BytesIO()
            Image.new("RGB", (65, 49), (number * 30, 0, 0)).save(picture, "JPEG", quality=95)
            archive.writestr(f"south/images/P{number}.JPG", picture.getvalue())
        archive.writestr("__MACOSX/._P0.JPG", b"no picture")
    arguments = ("--download-only", "--archive", "photos.zip", "--dir", str(bench.folder / "data"))
    for _ in range(2):  # the second finds them
        ended = bench.run("scripts/e2e/01-download-testdata.sh", *arguments[1:])
        assert ended.code == 0, ended.err
    reds = []
    for clip in sorted((bench.folder / "data/clips").glob("*.mp4")):
        with av.open(str(clip)) as container:
            reds.append(
                [round(frame.to_ndarray(format="rgb24")[..., 0].mean() / 30) for frame in container.decode(video=0)]
            )
    assert [sorted(set(clip)) for clip in reds] == [[0, 1], [2, 3, 4], [5, 6]]


@pytest.mark.azurite
def test_the_trial_runs_a_whole_scene_through_a_storage_account(
    azurite: Azurite, storage: StorageSettings, bench: Bench
) -> None:
    """With the mock backend; everything else is real: upload, runner, commit, publishing, download, hashes."""
    video = bench.folder / "view1.mp4"
    video.write_bytes(b"any bytes do for the mock")
    bench.env |= {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string, "BACKEND": "mock"}
    for kind in ("input", "output", "processed", "error", "state"):
        bench.env[f"AZURE_BLOB_CONTAINER_{kind.upper()}"] = getattr(storage, kind)
    ended = bench.run("scripts/azure-test.sh", "--scene", "lobby", "view1.mp4")
    assert ended.code == 0, ended.err
    assert "went through" in ended.out
    assert ended.calls == []
    report = (bench.folder / "azure-test-report.txt").read_text()
    for step in ("upload", "runner", "download"):
        assert re.search(rf"  {step}: \d+ s, code 0$", report, re.MULTILINE)
    assert re.search(r"  end: code 0 after \d+ s$", report, re.MULTILINE)
    assert "gaussians" in report.lower()
    assert azurite.connection_string.split("AccountKey=")[1].split(";")[0] not in report


KEY = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmU="


@pytest.fixture
def told(provisioned: Bench) -> Bench:
    """A program in the place of ours that says what it is told to; the redaction is the real one."""
    program = provisioned.folder / "python"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in\n-c*) exec {sys.executable} "$@" ;;\n'
        f'*" status "*--wait*) echo "lobby: failed NO_GPU"; echo "AccountKey={KEY}; by me@example.org" >&2; exit 1 ;;\n'
        "*) echo done ;;\nesac\n"
    )
    program.chmod(0o755)
    (provisioned.folder / "a.mp4").write_bytes(b"x")
    provisioned.env["PYTHON"] = str(program)
    return provisioned


def test_a_trial_that_fails_leaves_one_file_to_send_back_without_secrets(told: Bench) -> None:
    told.answer("version", "2.91.0\n")
    told.answer("resource list", "Microsoft.App/jobs\tFailed\tswedencentral\n")
    told.answers.insert(0, {"call": "job show .*image", "out": "crdev.azurecr.io/runner@sha256:0123\n"})
    ended = told.run("scripts/azure-test.sh", "--deployed", "--scene", "lobby", "--report", "sent.txt", "a.mp4")
    assert ended.code == 1
    assert "was not finished" in ended.err
    report = (told.folder / "sent.txt").read_text()
    for part in ("azure-cli: 2.91.0", "Failed\tswedencentral", "runner@sha256:0123", "upload: ", "lobby: failed NO_GPU",
                 "scene lobby was not finished", "end: code 1"):  # fmt: skip
        assert part in report, part
    assert re.search(r"from upload to result: \d+ s, code 1$", report, re.MULTILINE)
    for secret in (KEY, "me@example.org", SUBSCRIPTION):
        assert secret not in report
    assert "sent.txt" in ended.out
