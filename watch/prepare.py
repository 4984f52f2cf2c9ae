"""`watch prepare`: what `docker compose up` runs first, so that a first start works or says why not.

Docker makes a folder that is missing on the host, and root owns it. The watch is not root: it would end with
"Permission denied", and `restart: unless-stopped` would start it for ever. So this runs before it, once, as root with
the rights CHOWN, SETUID and SETGID alone: it gives the user what is empty or the watch's own, becomes the user, and
looks at settings and folders as the watch will.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.files import writable
from runner.pipeline import config_file
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.errors import AccessDenied, ConfigurationError
from watch import settings

DEFAULT_USER = "10001:10001"  # of the images
MOST = 2**32 - 2  # of Linux; the next one means nobody's


def prepare(env: Mapping[str, str], user: str) -> int:
    """Returns 0 when the watch can start. Raises ConfigurationError, AccessDenied, StorageError for what stops it.

    user: UID or UID:GID that the watch will run as.
    """
    env = config_file.read(env).env
    start = settings.read(env)
    uid, gid = _numbers(user)
    base = Path(start.folders.data or start.places.input.parent)
    if os.geteuid() == 0:
        if base.is_dir() and base.stat().st_uid == 0 and not any(base.iterdir()):
            os.chown(base, uid, gid)
        if start.runner.workspace:
            _give(Path(start.runner.workspace), uid, gid)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    where = start.places
    for folder in (base, *where.all()):
        with os_errors(f"looking at the folder {folder} as user {uid}:{gid}"):
            _require(folder)
    for folder in (where.input, where.output, where.processed, where.error):  # which state is whose, the watch decides
        with os_errors(f"making the folder {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
    writable.check(start.runner.workspace, start.pipeline.backend, env)
    print(f"folders of user {uid}:{gid}: {', '.join(map(str, where.all()))}", flush=True)
    return 0


def _numbers(user: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?::(\d+))?", user.strip())
    uid, gid = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not uid or max(uid, gid) > MOST:
        raise ConfigurationError(
            f"DATA_USER={user} is not a user for the watch",
            advice="use the numbers of a user that is not root: UID:GID",
        )
    return uid, gid


def _give(folder: Path, uid: int, gid: int) -> None:
    """The workspace, a volume of its own, with what an earlier user left. Links are not followed."""
    if not folder.is_dir() or folder.stat().st_uid == uid:
        return

    def below() -> Iterator[str]:
        yield str(folder)
        for parent, folders, files in os.walk(folder):
            yield from (os.path.join(parent, name) for name in (*folders, *files))

    for path in below():
        os.chown(path, uid, gid, follow_symlinks=False)


def _require(folder: Path) -> None:
    """Raises AccessDenied, with the two ways out, for a folder that is there and cannot be written."""
    if not folder.exists() or os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return
    found, me = folder.stat(), f"{os.getuid()}:{os.getgid()}"
    ways = [f"on the host: sudo chown --recursive {me} that folder"]
    if found.st_uid:
        ways.insert(0, f"write DATA_USER={found.st_uid}:{found.st_gid} into .env beside compose.yaml")
    raise AccessDenied(
        f"{folder} belongs to user {found.st_uid}:{found.st_gid}, and the watch runs as {me}", advice=", or ".join(ways)
    )
