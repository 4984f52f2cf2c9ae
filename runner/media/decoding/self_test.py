"""Can a decoder process start here, and with which layers of the sandbox?"""

from __future__ import annotations

import msgspec

from runner.media.decoding import decoder
from runner.media.decoding.requests import CloseIn
from runner.sandbox import lockdown, run
from scenejobs.errors import Code, ConfigurationError, RunnerError, SceneJobError

BOUNDS = run.Bounds(
    lockdown.Ceilings(4 * 2**30, cpu_s=60, file_bytes=0), wall_s=60, silence_s=60, answer_bytes=1 << 16,
    files=0, folder_bytes=0,
)  # fmt: skip


def self_test(mode: str) -> str:
    """The layers of a decoder process that was started and opened nothing. mode: SANDBOX.

    Raises ConfigurationError NO_SANDBOX when the system lacks a layer that the mode requires, RunnerError when no
    process can start.
    """
    layers: list[str] = []
    request = {**msgspec.to_builtins(CloseIn()), "writes": False}
    try:
        run.run(request, about="nothing", bounds=BOUNDS, mode=mode, command=decoder.COMMAND, on_layers=layers.extend)
    except SceneJobError as exc:
        if not (missing := lockdown.missing(layers)) or mode != "require":
            raise RunnerError(f"the decoder's process cannot work here: {exc}", advice="see docs/images.md") from exc
        raise ConfigurationError(
            f"SANDBOX=require, but this system lacks {', '.join(missing)}", code=Code.NO_SANDBOX,
            advice="use a kernel with seccomp and Landlock and a container that allows them, or SANDBOX=auto",
        ) from exc  # fmt: skip
    missing = lockdown.missing(layers)
    return ", ".join(layers) + (f"; NOT {', '.join(missing)}" if missing and mode != "off" else "")
