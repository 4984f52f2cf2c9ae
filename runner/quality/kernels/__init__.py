"""numba kernels of the measures."""
