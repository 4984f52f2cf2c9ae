"""Cameras refined while training: what it is worth for found cameras, and for noisy ones."""
