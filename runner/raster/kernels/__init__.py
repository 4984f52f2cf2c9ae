"""numba kernels of the CPU rasteriser."""
