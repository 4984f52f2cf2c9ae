"""Serve mode: the dispatcher and the runner of the cloud in one process over blob containers. Entry: `cli.main`."""
