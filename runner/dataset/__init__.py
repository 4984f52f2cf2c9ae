"""Poses and frames to undistorted training views, with hold-out views. Entry: `build.build_views`."""
