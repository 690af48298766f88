"""How the bundled towers were made: from public weights and pictures to two files (pretraining/README.md)."""
