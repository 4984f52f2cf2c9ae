"""Where things lie in the containers. The only place that builds these names.

state      scenes/<key>.json             the record of a scene: phase, attempts, manifest, ending; leased by its runner
           batches/<key>/<digest>.json   a sealed set of uploads, created once
           progress/<key>.json           how far the present attempt is; overwritten often, nobody relies on it
           work/<key>/<digest>/saved.json   which parts an interrupted attempt left for the next one; written last
           work/<key>/<digest>/<sha256>     one part each; <digest> stands for uploads, settings and program
           refused/<digest>.json         an upload whose name is refused, and why
           dispatcher.json               when the last execution was started, and how often that failed since
           sweep.json                    when the last sweep ran, and what it found
output     <scene>/<file>                the published result, manifest.json last (while files are replaced it bears
                                      "publishing" and names no file)
           <scene>/runs/<run>/<file>     the result of one run, as committed; never overwritten
processed  <scene>/<name>                inputs of a committed run (below <generation>/ where the name is taken)
error      <scene>/<name>                inputs that could not be processed
           <scene>/error.json            why; written before the first input moves
           <scene>/run.log               the runner's log of the last attempt
"""

from __future__ import annotations

import hashlib

from scenejobs.names import scene_key, within_scene

DISPATCHER_RECORD = "dispatcher.json"
SWEEP_RECORD = "sweep.json"
WORK_FOLDER = "work/"
MANIFEST = "manifest.json"
PUBLISHING = "publishing"  # key of a published manifest that promises nothing yet
ERROR_DOCUMENT = "error.json"
RUN_LOG = "run.log"


def record_name(scene: str) -> str:
    return f"scenes/{scene_key(scene)}.json"


def batch_name(scene: str, digest: str) -> str:
    return f"batches/{scene_key(scene)}/{digest}.json"


def progress_name(scene: str) -> str:
    return f"progress/{scene_key(scene)}.json"


def work_folder(scene: str, digest: str = "") -> str:
    """Of the saved work of one attempt's kind; without `digest` of all that is saved for the scene."""
    return f"{WORK_FOLDER}{scene_key(scene)}/" + (f"{digest}/" if digest else "")


def record_of_work(name: str) -> str:
    """The name of the record of the scene that a blob below WORK_FOLDER belongs to."""
    return f"scenes/{name.removeprefix(WORK_FOLDER).split('/')[0]}.json"


def refused_name(blob_name: str) -> str:
    return f"refused/{hashlib.sha256(blob_name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.json"


def run_folder(scene: str, run: str) -> str:
    return f"{scene}/runs/{run}/"


def published_name(scene: str, file: str) -> str:
    return f"{scene}/{file}"


def archive_names(scene: str, blob_name: str, generation: int) -> tuple[str, str]:
    """Where an input goes in `processed` or `error`: the plain name, and the one to use where that is taken."""
    rest = within_scene(blob_name, scene)
    return f"{scene}/{rest}", f"{scene}/{generation}/{rest}"
