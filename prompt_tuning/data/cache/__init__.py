"""The cache of tokenized tasks: its entries, who writes them, and streams of what is too large."""
