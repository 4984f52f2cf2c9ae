"""Values and geometry of the field: frames, cameras, views, Gaussians."""
