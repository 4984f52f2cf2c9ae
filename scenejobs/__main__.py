"""See scenejobs.cli."""

import sys

from scenejobs.cli import main

sys.exit(main())
