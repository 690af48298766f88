"""Search for settings on the validation split, trial by trial (docs/sweep.md)."""
