"""Implementations of the ports: Azure, folders, memory. Entry: `open`."""
