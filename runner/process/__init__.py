"""Child processes: start, follow, end, explain. Entry: `supervise.supervise`."""
