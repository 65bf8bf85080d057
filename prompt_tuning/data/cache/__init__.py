"""The cache of tokenized tasks, and streams of training splits too large for it."""
