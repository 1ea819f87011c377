"""Measured against DeepFace in the same run: `compare` (speed and memory), `accuracy` (vectors), `scale` (members)."""
