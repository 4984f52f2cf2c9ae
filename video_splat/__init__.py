"""The command `video-splat`: every program by its name. What users and operators do with storage is `scenejobs`."""
