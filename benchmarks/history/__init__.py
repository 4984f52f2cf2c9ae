"""The cost of history: `python -m benchmarks.history`."""
