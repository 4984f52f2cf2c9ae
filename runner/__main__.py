"""The runner's command line.

    python -m runner                             process scenes from the queue, or one prefix (RUN_MODE=batch), or
                                                 become `python -m serve` (RUN_MODE=serve) or `python -m watch` (watch)
    python -m runner scene VIDEO... --out DIR    process local videos; no storage, no account
    python -m runner preflight                   look whether all is there: libraries, GPU, sandbox, disk, storage

It is what images start; people have the command `video-splat` (video_splat/).

Exit codes: 0 success, 1 the input cannot work, 2 configuration or credentials, 3 infrastructure,
75 the scene is somebody else's, 143 told to stop.
"""

from __future__ import annotations

import sys

from runner import cli

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
