"""Which call comes next."""
