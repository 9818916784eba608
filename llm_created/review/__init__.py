"""A page on which people look at rows, one at a time, and say what they hold of their labels."""
