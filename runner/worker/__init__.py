"""From a queue message to a finished scene: lease, download, job, commit, publish, archive. Entry: `loop.Worker`."""
