"""Lenses in the COLMAP process: models found by trial, rigs of 360-degree frames, pinhole views."""
