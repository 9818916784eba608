"""What an example is."""
