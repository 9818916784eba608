"""What is emitted."""
