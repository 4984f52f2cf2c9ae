"""What `scenejobs doctor` looks at, and its lines."""
