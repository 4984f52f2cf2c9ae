"""Files on the local disk: atomic writes, markers, arrays, JSON, free space."""
