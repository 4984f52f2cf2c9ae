"""`python -m local.jobs_api`."""

import sys

from local.jobs_api.server import main

sys.exit(main())
