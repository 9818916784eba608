"""What a run was: figures from its journal."""
