"""docs/SECURITY.md names tests that exist, every threat once, and the layers that the code has."""

import re
from pathlib import Path

from runner.sandbox import lockdown, syscalls

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/SECURITY.md").read_text()


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:tests|runner|scenejobs|function_app)/[\w/.]+)`", TEXT))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_threat_of_the_model_is_there_once() -> None:
    assert re.findall(r"^\| (S\d\d) \|", TEXT, re.MULTILINE) == [f"S{number:02d}" for number in range(1, 29)]


def test_the_layers_are_those_of_the_code() -> None:
    section = TEXT[TEXT.index("| layer |") : TEXT.index("The log of every run")]
    named = [layer.lower() for layer in re.findall(r"^\| ([\w ]+) \|", section, re.MULTILINE)][1:]
    layers = [
        lockdown.LIMITS, lockdown.NETWORK, lockdown.OWN_USER, lockdown.NO_NEW_PRIVILEGES, lockdown.LANDLOCK,
        lockdown.SECCOMP,
    ]  # fmt: skip
    assert named == layers
    assert f"every system call but {len(syscalls.DECODING)} " in TEXT
