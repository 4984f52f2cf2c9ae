"""Cameras that are refined with the Gaussians."""
