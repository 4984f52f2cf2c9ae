"""Videos: survey, decoding, pixels, metadata. Runs in the sandbox."""
