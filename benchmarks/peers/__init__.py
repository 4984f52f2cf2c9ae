"""Our training against another program's, on the same pictures, cameras and points: `python -m benchmarks.peers`."""
