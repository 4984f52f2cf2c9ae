"""Lenses that are no pinhole: recognised by `shape.py`; 360-degree frames become views in `whole_spheres.py`."""
