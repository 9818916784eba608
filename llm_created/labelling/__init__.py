"""Labels for rows that have none."""
