"""python -m tests.axe install"""

from __future__ import annotations

import sys

from tests.axe import PACKAGES

if sys.argv[1:] != ["install"]:
    sys.exit("python -m tests.axe install")
print("installed" if PACKAGES.install() else "already installed")
