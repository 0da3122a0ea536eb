"""Other engines on the same vectors; see README.md."""
