"""Untrusted videos and photos to upright sRGB frames. Entry: `extract.extract_frames`."""
