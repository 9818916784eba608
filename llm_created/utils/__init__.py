"""What every other folder may use: text, files, draws, code of the user's."""
