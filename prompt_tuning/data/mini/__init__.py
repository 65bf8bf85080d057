"""The embedded world: a small English grammar, its tasks, its pre-training text and its vocabulary."""
