"""Training views to Gaussians. Entry: `loop.train`."""
