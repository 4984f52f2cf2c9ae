"""What it costs to archive the inputs of one scene on the storage emulator: `python -m benchmarks.archiving`.

    --before FOLDER   a work tree of another commit, measured in the same run, on the same emulator

The emulator takes 70 to 90 ms for a delete, one after the other; so the wall clock is mostly its own. What is ours is
the CPU of this process and the number of requests. Each side runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--connection-string", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.connection_string:
        print(json.dumps(measure(options.connection_string, options.inputs)))
        return
    from local.azurite import Azurite

    print("| commit | inputs | requests for each | our CPU, s per 1,000 | wall, s |", flush=True)
    print("| --- | --- | --- | --- | --- |", flush=True)
    with Azurite() as azurite:
        for name, tree in (("before", options.before), ("now", ROOT)):
            if tree is None:
                continue
            command = [sys.executable, str(Path(__file__).resolve()), "--inputs", str(options.inputs)]
            command += ["--connection-string", azurite.connection_string]
            env = {**os.environ, "PYTHONPATH": str(tree)}
            done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            found = json.loads(done.stdout)
            each, cpu_s = found["requests"] / options.inputs, found["cpu_s"] * 1000 / options.inputs
            print(f"| {name} | {options.inputs} | {each:.2f} | {cpu_s:.1f} | {found['wall_s']:.0f} |", flush=True)


def measure(connection_string: str, inputs: int) -> dict[str, float]:
    """Uploads so many small files and archives them, with the code of the tree that is on the path."""
    from azure.core.pipeline.transport import RequestsTransport

    from runner.worker.ending.archive import archive
    from scenejobs.adapters.azure.clients import create_all, open_containers
    from scenejobs.settings.storage import StorageSettings
    from scenejobs.state.blobs import InputBlob
    from scenejobs.state.record import Phase, SceneRecord

    mark = uuid.uuid4().hex[:10]
    settings = StorageSettings(connection_string=connection_string)
    kinds = ("input", "output", "processed", "error", "state")
    settings = replace(settings, **{name: f"{getattr(settings, name)}-{mark}" for name in kinds})
    settings = replace(settings, debounce_queue=f"debounce-{mark}", jobs_queue=f"jobs-{mark}")
    create_all(settings)
    containers = open_containers(settings)
    requests: Counter[str] = Counter()
    send = RequestsTransport.send

    def counted(self: RequestsTransport, request: object, **options: object) -> object:
        requests[getattr(request, "method", "")] += 1
        return send(self, request, **options)  # type: ignore[arg-type]

    names = [f"lobby/{number:05}.jpg" for number in range(inputs)]
    with ThreadPoolExecutor(8) as pool:
        etags = list(pool.map(lambda name: containers.input.write(name, name.encode()), names))
    manifest = tuple(InputBlob(name, etag, len(name)) for name, etag in zip(names, etags, strict=True))
    record = SceneRecord("lobby", Phase.COMMITTED, run="run", manifest=manifest)
    RequestsTransport.send = counted  # type: ignore[assignment,method-assign]
    cpu, wall = time.process_time(), time.monotonic()
    places = archive(record, containers.input, containers.processed, "processed", lambda: None)
    found = {"cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - wall, "requests": requests.total()}
    if len(places) != inputs or next(iter(containers.input.list()), None) is not None:
        raise SystemExit("not every input was archived")
    return found


if __name__ == "__main__":
    main()
