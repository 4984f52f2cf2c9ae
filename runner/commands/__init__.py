"""What a person or a container starts: `work`, `scene`, `preflight`."""
