"""Features of images into COLMAP's database: who finds them, how many, and where masks forbid it."""
