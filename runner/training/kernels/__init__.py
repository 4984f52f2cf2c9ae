"""numba kernels of the training."""
