"""Settings from the environment: `storage` has those of places, `pipeline` those of how a scene is made, `groups` those of the programs and the list of all; `reader` reads them."""
