"""Searching good settings on the validation part, trial by trial (docs/sweep.md)."""
