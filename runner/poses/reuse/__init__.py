"""Poses of an earlier run of the same scene."""
