"""`python -m local.functions_host`."""

import sys

from local.functions_host.host import main

sys.exit(main())
