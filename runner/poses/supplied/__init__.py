"""Poses that the user supplies: readers, matching, the attempt with them."""
