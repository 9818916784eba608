"""The loop, from an identity to rows."""
