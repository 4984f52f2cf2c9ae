"""Watch mode: the dispatcher and the runner of the cloud on the folders of one machine. Entry: `cli.main`."""
