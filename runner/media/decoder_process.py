"""The process that opens untrusted videos and photos: `python -m runner.media.decoder_process <pipe descriptor>`.

Reads one request from standard input, loads what it needs, closes itself in, and only then looks at the files, which it
has as open descriptors. See `runner/sandbox/run.py` for the other end.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from runner.sandbox import lockdown
from runner.sandbox.seccomp import DECODER


def main(pipe: int) -> int:
    os.set_inheritable(pipe, False)
    request = json.loads(sys.stdin.buffer.read())
    work = _enter(request, pipe)
    from runner.process.error_json import dump_error
    from scenejobs.errors import SceneJobError

    try:
        answer = work(request, pipe)
    except SceneJobError as exc:
        _say(pipe, {"failure": json.loads(dump_error(exc))})
        return 0
    except MemoryError:
        return lockdown.OUT_OF_MEMORY
    _say(pipe, {"result": answer})
    return 0


def _enter(request: dict[str, Any], pipe: int) -> Any:
    """Closes this process in. Returns the function that does the work."""
    ceilings = lockdown.Ceilings.from_json(request["ceilings"])
    closed = request["mode"] != "off"
    layers = lockdown.begin(ceilings, layers=closed)
    action = _load()[request["action"]]
    if closed:
        write = [Path.cwd()] if request["writes"] else []
        layers += lockdown.complete(write, read=lockdown.code_folders(), rules=DECODER, user=request["user"])
    _say(pipe, {"layers": layers})
    if request["mode"] == "require" and lockdown.missing(layers):
        sys.exit(lockdown.NOT_CLOSED)  # the parent sees the list as well
    return action


def _load() -> dict[str, Any]:
    """Everything that decoding may need is loaded: later it might be out of reach."""
    import encodings.ascii
    import encodings.idna
    import encodings.latin_1  # noqa: F401

    from PIL import Image, MpoImagePlugin, PngImagePlugin, TiffImagePlugin  # noqa: F401

    from runner.media import settings as media_settings
    from runner.media.photo import survey as photo_survey
    from runner.media.video import survey as video_survey
    from runner.scene import frames
    from runner.scene.progress import OnProgress

    Image.preinit()

    def survey(request: dict[str, Any], pipe: int) -> dict[str, Any]:
        found = video_survey.survey(clip(request), limits(request), reporter(pipe))
        return {"parts": [{"info": vars(part.info), "seen": [list(vars(one).values()) for one in part.measures]}
                          for part in found]}  # fmt: skip

    def write(request: dict[str, Any], pipe: int) -> dict[str, Any]:
        side = request["long_side"]
        video_survey.write_frames(clip(request), request["wanted"], Path(), side, limits(request), reporter(pipe))
        return {}

    def survey_photos(request: dict[str, Any], pipe: int) -> list[dict[str, Any]]:
        return photo_survey.survey(clips(request), request["long_side"], limits(request), reporter(pipe))

    def write_photos(request: dict[str, Any], pipe: int) -> list[dict[str, Any]]:
        side, files = request["long_side"], request["files"]
        return photo_survey.write(clips(request), files, Path(), side, limits(request), reporter(pipe))

    def clips(request: dict[str, Any]) -> list[frames.Clip]:
        return [frames.Clip(name, Path(), descriptor) for name, descriptor in request["photos"]]

    def clip(request: dict[str, Any]) -> frames.Clip:
        return frames.Clip(request["name"], Path(), request["descriptor"])

    def limits(request: dict[str, Any]) -> media_settings.Limits:
        return media_settings.Limits(**request["limits"])

    def reporter(pipe: int) -> OnProgress:
        return lambda share, detail: _say(pipe, {"progress": [share, detail]})

    def nothing(_request: dict[str, Any], _pipe: int) -> bool:
        """For preflight: the closing in is what is looked at."""
        return True

    return {
        "survey": survey, "write": write, "survey_photos": survey_photos, "write_photos": write_photos,
        "nothing": nothing,
    }  # fmt: skip


def _say(pipe: int, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


if __name__ == "__main__":
    try:
        code = main(int(sys.argv[1]))
    except Exception:  # noqa: BLE001  # the process ends either way; the code tells a bug of ours from a crash
        traceback.print_exc()
        code = lockdown.EXCEPTION
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # skips the destructors of native libraries
