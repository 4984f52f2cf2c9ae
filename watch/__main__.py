"""Watch mode's command line.

    python -m watch          look at the input folder until told to stop (also: RUN_MODE=watch python -m runner)
    python -m watch health   ask the one that runs here how it is; exit code 0 when it is well
    python -m watch health --if-watching    the same, and 0 in every other mode: the images' HEALTHCHECK

Exit codes: 0 stopped as told, 2 configuration, 3 the folders cannot be used.
"""

from __future__ import annotations

import sys

from watch import cli

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
