"""From a person's own rows to a classifier: hold out, create, compare, keep."""
