"""The embedded world: a small grammar, its tasks, its pre-training text, its vocabulary."""
