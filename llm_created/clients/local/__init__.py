"""Models that run in this process: any causal LM of the Hub, a folder, or a GGUF file."""
