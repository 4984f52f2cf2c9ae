"""Of everything that is shipped the licence is listed, and one that nobody names is listed as unknown."""

from __future__ import annotations

import re
from importlib import metadata

import pytest

from scripts.packages import licences
from scripts.packages.licences import UNKNOWN, Licence
from scripts.packages.locks import Package

TEXT = "Copyright (c) 2021, somebody\nPermission is hereby granted, free of charge, to any person\n"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"license_expression": "MIT", "license": "x", "classifier": []}, "MIT"),
        ({"classifier": ["License :: OSI Approved :: BSD License", "Topic :: X"], "license": TEXT}, "BSD License"),
        ({"classifier": ["License :: OSI Approved"], "license": "Apache-2.0"}, "Apache-2.0"),
        ({"license": TEXT}, UNKNOWN),
        ({"license": None, "classifier": None}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_a_licence_is_what_the_package_names_and_never_guessed_from_a_text(
    fields: dict[str, object], name: str
) -> None:
    assert licences.licence(fields).name == name


def test_installed_packages_are_read_with_the_names_of_their_texts() -> None:
    found = licences.installed(Package("PyPI", "cryptography", metadata.version("cryptography")))
    assert found is not None
    assert "Apache-2.0" in found.name
    assert "LICENSE.BSD" in found.texts
    assert licences.installed(Package("PyPI", "cryptography", "0.1")) is None, (
        "another version may have another licence"
    )
    assert licences.installed(Package("PyPI", "no-such-package", "1")) is None


def test_what_needs_a_look_stands_first() -> None:
    names = {"a": "MIT", "b": UNKNOWN, "c": "GPL-3.0-or-later", "d": "LicenseRef-NVIDIA-Proprietary", "e": "LGPL-2.1"}
    packages = {Package("PyPI", name, "1"): ["image"] for name in names}
    text = licences.page(packages, {each: Licence(names[each.name], ("L",) * 5) for each in packages})
    assert "| no licence is named | `b` |" in text
    assert "not an open licence | `d` |" in text
    assert "on passing it on | `c`, `e` |" in text
    assert "| a | 1 | MIT | L, L, L and 2 more | image |" in text


def test_a_gpl_library_inside_a_wheel_is_found_where_the_metadata_names_another_licence() -> None:
    package = Package("PyPI", "pillow-heif", metadata.version("pillow-heif"))
    found = licences.installed(package)
    assert found is not None
    assert found.bundled == ("x265",)
    assert "`pillow-heif` (x265)" in licences.page({package: ["image"]}, {package: found})


def test_what_passing_an_image_on_asks_for_names_what_asks_for_it() -> None:
    """All that is copyleft in the list is spoken of above it."""
    head, _, table = licences.PAGE.read_text().partition("| needs a look |")
    (copyleft,) = re.findall(r"^\| copyleft: conditions on passing it on \| (.+) \|$", table, re.MULTILINE)
    (inside,) = re.findall(r"^\| GPL libraries inside .+? \| (.+) \|$", table, re.MULTILINE)
    for name in (*re.findall("`(.+?)`", copyleft), *re.findall("`(.+?)`", inside), *licences.GPL_LIBRARIES):
        assert f"`{name}`" in head, name


def test_the_committed_list_is_of_what_is_shipped_today() -> None:
    rows = re.findall(r"^\| ([\w.-]+) \| ([\w.]+) \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", licences.PAGE.read_text(), re.M)
    listed = {(name, version): uses for name, version, _, uses in rows if name != "package"}
    shipped = licences.shipped()
    assert listed == {(each.name, each.version): "; ".join(uses) for each, uses in shipped.items()}, "make licences"
