"""Watch mode's command line, by the name that people use; images start `python -m runner` or `python -m watch`.

    video-splat watch          watch the input folder until SIGTERM
    video-splat watch health   ask the watch that runs here for its health; exit code 0 when it is healthy
    video-splat watch health --if-watching    the same, and 0 in every other mode: the images' HEALTHCHECK
    video-splat watch prepare --user UID:GID  before a first start in a container: folders and settings

Exit codes: 0 stopped by a signal, 2 configuration, 3 the folders cannot be used.
"""

from __future__ import annotations

import sys

from watch import cli

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
