"""Interlaced films: how they are told, and made of whole pictures."""
