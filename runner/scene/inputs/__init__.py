"""The files of a scene by their names and kinds: which belong together, which are used."""
