"""What a GPU does, measured in one run: `python -m benchmarks.gpu`."""
