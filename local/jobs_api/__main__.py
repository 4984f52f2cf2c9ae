"""`video-splat jobs-api`."""

import sys

from local.jobs_api.server import main

sys.exit(main())
