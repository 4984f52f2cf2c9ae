"""Frames to cameras and sparse points, judged by gates. Entry: `find.find_poses`."""
