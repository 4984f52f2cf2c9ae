"""Licences of every package that is shipped, by what the packages say of themselves: `make licences`.

    python -m scripts.packages.licences [--pip PROGRAM] [--page FILE]

Reads the metadata of what is installed beside this program, and asks pip (25 or newer) about the rest, which needs the
package index. Writes docs/licences.md. A package that names no licence is listed as unknown.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from scenejobs.wording import listed
from scripts.packages.advisories import public
from scripts.packages.locks import LOCKS, ROOT, Package

PAGE = ROOT / "docs/licences.md"
UNKNOWN = "unknown"
SHOWN_TEXTS = 3
NAMED = re.compile(r"[\w .,+()/-]{2,60}")  # a name; longer ones are the licence's text
COPYLEFT = re.compile(r"\b(A?GPL|LGPL|MPL|EPL|GNU|Mozilla)", re.IGNORECASE)
OWN_TERMS = re.compile(r"proprietary|LicenseRef|other/", re.IGNORECASE)
HEAD = """# Licences of what is shipped

Written by `make licences` from the packages' own metadata; a test holds the list against the locks. The project itself:
[LICENSE](../LICENSE). The texts lie in each package's folder `*.dist-info`, in the images too. They also name what is
compiled into a wheel (FFmpeg in `av` and `opencv-python-headless`, libheif in `pillow-heif`, what `torch`, `numpy` and
`pycolmap` are built of), which no field of the metadata does. Debian's packages of the base image have theirs in
`/usr/share/doc/*/copyright`.

## Passing images on

Running images in a registry, subscription or machine of your own asks for nothing. Giving one to somebody else is
another matter (this is an engineer's reading, not a lawyer's):

- **The CPU images, as a whole, may be given away under the GNU GPL, version 3 or later, alone.** `plyfile` is under it
  (its metadata, `COPYING` and the head of `plyfile.py` agree), and our code imports it; `x264` and `x265`, which the
  wheels of `av` and `pillow-heif` hold, are under version 2 or later. Whoever gives an image away gives the GPL's text
  with it, and the complete corresponding source of what is under it, ours included, beside the image or by a written
  offer that holds for three years. The locks name each version and its hash; the source packages are in the same
  index. Our own code stays under the MIT licence, which allows all of this.
- **The GPU images are not to be given away.** They hold NVIDIA's libraries beside that, whose terms are no open
  licence, so what the GPL asks of the whole cannot be met. Give the Dockerfile and the locks: each builds an image of
  their own.
- The function app holds none of these. `certifi` (MPL 2.0) asks for the source of changed files; none is changed.
"""
GPL_LIBRARIES = ("x264", "x265")
"""Encoders under the GPL (version 2 or later) that wheels bring as shared libraries, whatever their metadata says."""


@dataclass(frozen=True)
class Licence:
    """What one package says of its licence."""

    name: str  # an SPDX expression where the package gives one
    texts: tuple[str, ...] = ()  # files in its dist-info
    bundled: tuple[str, ...] = ()  # of GPL_LIBRARIES, where the wheel was looked into


def licence(fields: Mapping[str, Any]) -> Licence:
    """Of core metadata in its JSON form: the expression, else the classifiers, else a field that is a name."""
    classified = [
        name.rpartition(" :: ")[2]
        for name in fields.get("classifier") or ()
        if name.startswith("License :: ") and name != "License :: OSI Approved"
    ]
    free = (fields.get("license") or "").strip()
    name = fields.get("license_expression") or " / ".join(classified) or (free if NAMED.fullmatch(free) else "")
    return Licence(name or UNKNOWN, tuple(fields.get("license_file") or ()))


def installed(package: Package) -> Licence | None:
    """None where this version is not installed here."""
    try:
        found = metadata.distribution(package.name)
    except metadata.PackageNotFoundError:
        return None
    if public(found.version) != public(package.version):
        return None
    told: Any = found.metadata
    fields = {"license": told.get("License"), "license_expression": told.get("License-Expression")}
    lists = {"classifier": "Classifier", "license_file": "License-File"}
    known = licence({**fields, **{key: told.get_all(name) for key, name in lists.items()}})
    # older packages have the texts and no field for them
    texts = known.texts or tuple(
        path.name
        for path in found.files or ()
        if path.parts[0].endswith(".dist-info") and re.match(r"(LICEN[CS]E|COPYING|NOTICE)", path.name, re.IGNORECASE)
    )
    libraries = {path.name for path in found.files or () if ".so" in path.name or path.suffix in (".dylib", ".dll")}
    bundled = tuple(each for each in GPL_LIBRARIES if any(name.startswith(f"lib{each}") for name in libraries))
    return replace(known, texts=texts, bundled=bundled)


def asked(packages: Iterable[Package], pip: Sequence[str]) -> dict[Package, Licence]:
    """Of pip's report of an installation that is not done. Raises CalledProcessError."""
    wanted = {f"{package.name}=={public(package.version)}": package for package in packages}
    if not wanted:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:", "--report"]
        subprocess.run([*pip, "install", *options, str(report), *wanted], check=True)
        found = [each["metadata"] for each in json.loads(report.read_text())["install"]]
    by_name = {re.sub(r"[-_.]+", "-", fields["name"]).lower(): licence(fields) for fields in found}
    return {package: by_name[package.name] for package in wanted.values()}


def shipped() -> dict[Package, list[str]]:
    """Every package of an image or of the function app, with what it is in. CPU and GPU builds of torch are one."""
    found: dict[Package, list[str]] = {}
    for lock in LOCKS:
        if lock.shipped:
            for package in lock.packages():
                found.setdefault(replace(package, version=public(package.version)), []).append(lock.use)
    return found


def page(packages: Mapping[Package, Sequence[str]], known: Mapping[Package, Licence]) -> str:
    """The document: first what needs a person's look, then all."""
    lines = [HEAD, "| needs a look | packages |", "| --- | --- |"]
    groups: dict[str, Callable[[str], bool]] = {
        "no licence is named": lambda name: name == UNKNOWN,
        "terms of its maker, not an open licence": lambda name: bool(OWN_TERMS.search(name)),
        "copyleft: conditions on passing it on": lambda name: bool(COPYLEFT.search(name)),
    }
    for words, fits in groups.items():
        names = sorted({f"`{each.name}`" for each in packages if fits(known[each].name)})
        lines.append(f"| {words} | {', '.join(names) or 'none'} |")
    inside = sorted({f"`{each.name}` ({', '.join(known[each].bundled)})" for each in packages if known[each].bundled})
    lines.append(f"| GPL libraries inside the wheel, whatever the metadata says | {', '.join(inside) or 'none'} |")
    lines += ["", "| package | version | licence | texts | in |", "| --- | --- | --- | --- | --- |"]
    for package in sorted(packages):
        texts = known[package].texts
        shown = listed(texts, SHOWN_TEXTS)
        cells = (
            package.name,
            package.version,
            known[package].name,
            shown or "none named",
            "; ".join(packages[package]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pip", default="", help="a pip of version 25 or newer; default: this program's own")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    packages = shipped()
    known = {package: found for package in packages if (found := installed(package)) is not None}
    pip = [options.pip] if options.pip else [sys.executable, "-m", "pip"]
    rest = [package for package in packages if package not in known]
    names = {package.name for package in rest}
    # two versions of one package are two questions
    for round_ in range(max((sum(each.name == name for each in rest) for name in names), default=0)):
        once = {name: [each for each in rest if each.name == name] for name in names}
        known |= asked([each[round_] for each in once.values() if len(each) > round_], pip)
    options.page.write_text(page(packages, known))
    print(f"{len(packages)} packages, {sum(each.name == UNKNOWN for each in known.values())} without a licence's name")
    return 0


if __name__ == "__main__":
    sys.exit(main())
