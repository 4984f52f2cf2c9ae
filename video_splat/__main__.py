"""See video_splat.cli."""

import sys

from video_splat.cli import main

sys.exit(main())
