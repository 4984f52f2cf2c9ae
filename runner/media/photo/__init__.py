"""Photos: survey, decoding, metadata, grouping. Runs in the sandbox."""
