"""The demo writer."""
