"""The embedded world: a small grammar, its tasks, its backbone and how that is pre-trained."""
