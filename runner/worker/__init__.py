"""From a queue message to a settled scene: lease, download, job, commit, publish, archive. Entry: `loop.Worker`."""
