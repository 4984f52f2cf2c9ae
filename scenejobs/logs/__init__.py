"""Log lines, redaction of secrets, lines that alerts match."""
