"""Pretraining of the bundled towers from public weights and images (see pretraining/README.md)."""
