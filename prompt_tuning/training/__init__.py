"""Train state, step, loop, optimizers, checkpoints and evaluation."""
