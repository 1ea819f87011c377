"""Disturb runs: kill them, fill their disk, cut off their database, start several at once; see docs/reliability.md."""
