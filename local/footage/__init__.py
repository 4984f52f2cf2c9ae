"""Footage of the demo, rendered here."""
