"""Commands for users and operators: `scenejobs`."""
