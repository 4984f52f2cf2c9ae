"""python -m tests.readers: installs them into .local/readers, once per package-lock.json (200 MB)."""

from tests.readers import READERS

READERS.install()
