"""The doors of the `datasets` library."""
