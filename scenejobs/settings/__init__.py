"""Settings from the environment: `groups` has the tables, `reader` reads them."""
