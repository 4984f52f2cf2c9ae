"""The recipe of a job and its settings. Entry: `reconstruct.reconstruct`."""
