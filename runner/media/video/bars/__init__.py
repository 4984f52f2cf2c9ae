"""Bars around what was filmed: found over all frames, and what is cut off. Entry: `watch`, `crops`."""
