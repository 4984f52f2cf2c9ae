"""One file format a module: PLY, SPLAT, SPZ, compressed PLY, viewer page."""
