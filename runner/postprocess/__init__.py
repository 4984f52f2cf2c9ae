"""Floaters removed, the scene turned upright. Entry: `finish.finish`."""
