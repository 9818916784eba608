"""The command line: its words, and what is said while a run goes on."""
