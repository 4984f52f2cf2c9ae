"""Watch mode: folders in the place of the cloud, with the same dispatcher and the same runner, on one machine."""
