"""Names of all blobs of the system. No other module builds them.

state      scenes/<key>.json             the record of a scene: phase, attempts, manifest, ending; leased by its runner
           active/<key>.json             marks a scene that somebody has to come back to (activity.py)
           active/<key>.check            a quiet-time check of the scene is on its way (checks.py)
           batches/<key>/<digest>.json   a sealed set of uploads, created once
           progress/<key>.json           how far the present attempt is; overwritten often, nobody relies on it
           work/<key>/<digest>/saved.json   from which parts the next attempt resumes; written last
           work/<key>/<digest>/<sha256>     one part each; <digest> stands for uploads, settings and program
           cache/<key>/<entry>           what stages of a run found, for the next runs of the scene; named by what it
                                         was made from, checked by its own hash, needed by nobody
           previews/<key>/<run>/<file>   a first look at a scene that is being made; goes with its run
           parts/<key>/<sha256>.json     a long list of a record, named by its content
           generations/<key>/<n>.json    what a generation that ended consisted of; created once, never changed
           duplicates/<key>/<digest>.json  an upload that was archived without a run, and what it is the same as
           refused/<digest>.json         an upload whose name is refused, and why
           undeleted/<key>/<version>.json   an upload that is done with, lies in the archive and cannot be deleted
           cancelled/<key>.json          somebody called the scene off: the versions that nothing is started for
           notices/<key>.json            what is still to be told about the scene, and to whom (notices/outbox.py)
           redrive/<key>/<n>.json        what was taken back from `error`; below <n>/ its error.json and run.log
           sending/<key>.json            what is being sent into a scene, and when it last grew; a hint, overwritten
           spend/<day>/<execution>-<token>.json  for how long an execution ran on a day, and that it lives; each start
                                      of its container has a token, "stopped" is the dispatcher's
           dispatcher.json               when the last execution was started, what keeps the next one back
           sweep.json                    when the last sweep ran, and what it found
           estimates.json                what the last finished scenes took, for the next estimates
           preflight.json                what the first execution of a program found on its machine
output     <scene>/<file>                the published result, manifest.json last (while files are replaced it bears
                                      "publishing" and names no file)
           <scene>/runs/<run>/<file>     the result of one run, as committed; never overwritten
processed  <scene>/<name>                inputs of a committed run
           <scene>/generation~<n>/<name> those whose plain name is taken, or could be one of ours
error      the same                      inputs that could not be processed
           <scene>/error.json            why; written before the first input moves
           <scene>/run.log               the runner's log of the last attempt
           <scene>/generation~<n>~reason/   both, where an input of an earlier program has one of their names

Earlier programs wrote <n> for generation~<n>; what they put there is found by the notes about it. Names of users and
of ours never meet: scenejobs/state/control_names.py says why.
"""

from __future__ import annotations

import hashlib

from scenejobs.names import scene_key, within_scene
from scenejobs.state.control_names import ERROR_DOCUMENT as ERROR_DOCUMENT
from scenejobs.state.control_names import GENERATION, RUNS, is_file_like, is_ours
from scenejobs.state.control_names import RUN_LOG as RUN_LOG

RECORDS = "scenes/"
ACTIVE = "active/"
BATCHES = "batches/"
PROGRESS = "progress/"
PARTS = "parts/"
PREVIEWS = "previews/"
GENERATIONS = "generations/"
DUPLICATES = "duplicates/"
REFUSED = "refused/"
UNDELETED = "undeleted/"
CANCELLED = "cancelled/"
NOTICES = "notices/"
REDRIVES = "redrive/"
USAGE = "spend/"
SENDING = "sending/"
RESUME_FOLDER = "work/"
CACHE_FOLDER = "cache/"
DISPATCHER_RECORD = "dispatcher.json"
SWEEP_RECORD = "sweep.json"
PREFLIGHT_RECORD = "preflight.json"
ESTIMATES_RECORD = "estimates.json"
MANIFEST = "manifest.json"
PUBLISHING = "publishing"  # key of a published manifest that promises nothing yet


def record_name(scene: str) -> str:
    return f"{RECORDS}{scene_key(scene)}.json"


def marker_name(scene: str) -> str:
    return f"{ACTIVE}{scene_key(scene)}.json"


def check_name(scene: str) -> str:
    return f"{ACTIVE}{scene_key(scene)}.check"


def is_check(name: str) -> bool:
    """Of a blob below ACTIVE: not a marker."""
    return name.endswith(".check")


def key_of_marker(name: str) -> str:
    """The key of the scene that a marker is about."""
    return name.removeprefix(ACTIVE).removesuffix(".json")


def key_of_record(name: str) -> str:
    return name.removeprefix(RECORDS).removesuffix(".json")


def record_of_key(key: str) -> str:
    return f"{RECORDS}{key}.json"


def preview_folder(scene: str, run: str = "") -> str:
    """Of one run; without `run` of all runs of the scene."""
    return f"{PREVIEWS}{scene_key(scene)}/" + (f"{run}/" if run else "")


def preview_name(scene: str, run: str, file: str) -> str:
    return preview_folder(scene, run) + file


def run_of_preview(name: str) -> tuple[str, str]:
    """Key of the scene and run of a blob below PREVIEWS."""
    key, _, rest = name.removeprefix(PREVIEWS).partition("/")
    return key, rest.partition("/")[0]


def part_name(scene: str, sha256: str) -> str:
    return f"{PARTS}{scene_key(scene)}/{sha256}.json"


def part_in(name: str) -> str:
    """The SHA-256 of a part's name."""
    return name.rpartition("/")[2].removesuffix(".json")


def generation_name(scene: str, generation: int) -> str:
    return f"{GENERATIONS}{scene_key(scene)}/{generation}.json"


def duplicate_name(scene: str, blob_name: str, etag: str) -> str:
    """Of one version of one upload."""
    digest = hashlib.sha256(f"{blob_name}\0{etag}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{DUPLICATES}{scene_key(scene)}/{digest}.json"


def undeleted_folder(scene: str) -> str:
    return f"{UNDELETED}{scene_key(scene)}/"


def undeleted_name(scene: str, version: str) -> str:
    """`version`: of undeleted.version."""
    return f"{undeleted_folder(scene)}{version}.json"


def cancelled_name(scene: str) -> str:
    return f"{CANCELLED}{scene_key(scene)}.json"


def notices_name(scene: str) -> str:
    return f"{NOTICES}{scene_key(scene)}.json"


def key_of_cancelled(name: str) -> str:
    """The key of the scene that a note is about."""
    return name.removeprefix(CANCELLED).removesuffix(".json")


def redrive_name(scene: str, generation: int) -> str:
    """The generation is the one whose inputs are taken back."""
    return f"{REDRIVES}{scene_key(scene)}/{generation}.json"


def redrive_history_name(scene: str, generation: int, file: str) -> str:
    """Where the reason and the log of a generation are kept that was taken back."""
    return f"{REDRIVES}{scene_key(scene)}/{generation}/{file}"


def usage_name(day: str, execution: str) -> str:
    """`day`: 2026-01-31."""
    return f"{USAGE}{day}/{execution}.json"


def batch_name(scene: str, digest: str) -> str:
    return f"{BATCHES}{scene_key(scene)}/{digest}.json"


def sending_name(scene: str) -> str:
    return f"{SENDING}{scene_key(scene)}.json"


def progress_name(scene: str) -> str:
    return f"{PROGRESS}{scene_key(scene)}.json"


def resume_folder(scene: str, digest: str = "") -> str:
    """Of one resume point; without `digest` of all resume points of the scene."""
    return f"{RESUME_FOLDER}{scene_key(scene)}/" + (f"{digest}/" if digest else "")


def cache_folder(scene: str) -> str:
    return f"{CACHE_FOLDER}{scene_key(scene)}/"


def record_of_resume(name: str) -> str:
    """The name of the record of the scene that a blob below RESUME_FOLDER belongs to."""
    return f"scenes/{name.removeprefix(RESUME_FOLDER).split('/')[0]}.json"


def refused_name(blob_name: str) -> str:
    return f"{REFUSED}{hashlib.sha256(blob_name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.json"


def run_folder(scene: str, run: str) -> str:
    return f"{scene}/{RUNS}/{run}/"


def published_name(scene: str, file: str) -> str:
    return f"{scene}/{file}"


def document_names(scene: str, generation: int, file: str) -> tuple[str, str]:
    """Of `error.json` or `run.log`: the plain one, and the one for where an input of an older program lies there."""
    return f"{scene}/{file}", f"{scene}/{GENERATION}{generation}~reason/{file}"


def archive_names(scene: str, blob_name: str, generation: int, run: str, depth: int = 1) -> tuple[str, ...]:
    """Where an input goes in `processed` or `error`, the next where that is taken.

    The plain name, unless it could be one of ours or of a deeper scene (`depth` levels of folders name one), then the
    generation's folder, and where a restored record counts a generation again, the run's. None lies within another:
    where containers are folders, a file of one name leaves no room for the other.
    """
    rest = within_scene(blob_name, scene)
    own = f"{scene}/{GENERATION}{generation}/{rest}", f"{scene}/{GENERATION}{generation}~{run}/{rest}"
    may_hold_scenes = scene.count("/") + 1 < depth
    if is_ours(rest.split("/")[0]) or (may_hold_scenes and not is_file_like(rest)):
        return own
    return f"{scene}/{rest}", *own


def possible_archive_names(scene: str, blob_name: str, generation: int, run: str) -> tuple[str, ...]:
    """Wherever an input may lie that this program or an earlier one archived."""
    rest = within_scene(blob_name, scene)
    folders = (f"{GENERATION}{generation}", f"{GENERATION}{generation}~{run}", f"{generation}", f"{generation}-{run}")
    return f"{scene}/{rest}", *(f"{scene}/{folder}/{rest}" for folder in folders)
