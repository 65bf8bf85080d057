"""Train state, step, loop, optimisers, checkpoints and evaluation."""
