"""Commands that give links to a result: `open` for whoever types it, `share` for others."""
