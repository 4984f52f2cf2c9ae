"""What every command is made of: sections of the help, `--json`, errors as one line with the next step."""
