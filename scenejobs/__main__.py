"""See scenejobs.commands.cli."""

import sys

from scenejobs.commands.cli import main

sys.exit(main())
