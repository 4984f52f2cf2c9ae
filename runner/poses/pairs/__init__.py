"""Which pairs of images are compared, without comparing all of them."""
