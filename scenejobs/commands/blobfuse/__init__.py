"""Containers as folders by blobfuse2: its configuration, what keeps it from mounting, and the command."""
