"""The end of a run: commit, publishing, archive and dead letter. Only forward."""
