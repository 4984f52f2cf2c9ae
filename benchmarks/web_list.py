"""A thousand finished scenes listed by the HTTP API over the storage emulator: storage calls and seconds.

python -m benchmarks.web_list [--scenes 1000] [--out benchmarks/results/web_list.md]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from function_app.web.http import Request
from function_app.web.routes import answer
from function_app.web.site import Site
from local.azurite import Azurite
from scenejobs.adapters.azure.clients import open_containers, open_queues
from scenejobs.adapters.azure.links import AzureLinks
from scenejobs.parallel import Crew
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.web import WebSettings
from tests.azurite import fresh_settings
from tests.counting import Counts
from tests.web import Web, answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with Azurite() as azurite:
        settings = fresh_settings(azurite)
        containers, queues = open_containers(settings), open_queues(settings)
        filled = Web()
        filled.site = replace(filled.site, containers=containers)
        filled.containers = containers
        Crew().each(lambda number: filled.finished(f"scene-{number:04d}", ("lobby.ply",)), range(options.scenes))
        counts = Counts()
        web = WebSettings(on=True, auth="local")
        site = Site(counts.containers(containers), queues, AzureLinks(settings), web, DispatchSettings())
        lines = ["| | calls | seconds |\n| --- | --- | --- |\n"]
        for what in ("all, the first time", "all again"):
            counts.clear()
            begin, seen = time.perf_counter(), listed(site)
            assert seen == options.scenes, seen
            lines.append(f"| {what} | {counts.total} | {time.perf_counter() - begin:.1f} |\n")
        counts.clear()
        begin = time.perf_counter()
        page(site, {"limit": "50"})
        lines.append(f"| the first page of 50 again | {counts.total} | {time.perf_counter() - begin:.2f} |\n")
    text = f"# The list of scenes by HTTP\n\n{options.scenes} finished scenes, pages of 200, emulator and API on one "
    text += "machine of 2 cores: `python -m benchmarks.web_list`. One run.\n\n" + "".join(lines)
    print(text)
    if options.out:
        options.out.write_text(text)


def listed(site: Site) -> int:
    """How many scenes the pages held."""
    seen, query = 0, {"limit": "200"}
    while True:
        found = page(site, query)
        seen += len(found["scenes"])
        if found["next"] is None:
            return seen
        query["after"] = found["next"]


def page(site: Site, query: Mapping[str, str]) -> dict[str, list[object] | str | None]:
    request = Request("GET", "scenes", query, {"host": "127.0.0.1"})
    return answered(answer(site, request))  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
