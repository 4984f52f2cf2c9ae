"""COLMAP in a process of its own: client, requests, matching, mapping, undistortion."""
