"""Settings from the environment.

`storage` has those of places, `pipeline` of how a scene is made, `groups` of the programs, and the list of all;
`reader` reads them.
"""
