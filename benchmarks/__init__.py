"""Benchmarks of this program, mostly against DeepFace in the same run. Each module's first lines say how to run it."""
