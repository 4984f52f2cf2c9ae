"""Commands for users and operators: `python -m scenejobs`."""
