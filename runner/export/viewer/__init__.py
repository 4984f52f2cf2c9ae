"""`viewer.html`: our own page (`own.py`), or that of the SuperSplat viewer (`supersplat.py`)."""
