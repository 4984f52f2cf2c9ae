"""python -m scripts.screenshots FOLDER (of a result). Software rendering draws them: a minute or two."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scenejobs.errors import InfrastructureError
from scripts.screenshots import result, scenes
from tests.browser import CHROMIUM, browser


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not (Path(arguments[0]) / "manifest.json").is_file():
        print("python -m scripts.screenshots FOLDER   (of a result: viewer.html, report.html, ...)", file=sys.stderr)
        return 2
    if not CHROMIUM:
        print("no Chromium is installed: apt-get install chromium", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    try:
        with TemporaryDirectory() as profile, browser(Path(profile)) as page:
            result.draw(page, folder)
            scenes.draw(page, folder)
    except InfrastructureError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
