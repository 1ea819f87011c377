"""Runs that are killed, starved, cut off from their database, or not alone; see docs/reliability.md."""
