"""python -m tests.axe install"""

from __future__ import annotations

import sys

from tests.axe import install

if sys.argv[1:] != ["install"]:
    sys.exit("python -m tests.axe install")
print("installed" if install() else "already installed")
