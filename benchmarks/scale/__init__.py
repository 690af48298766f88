"""How costs grow with the number of images: `python -m benchmarks.scale`; no image is read."""
