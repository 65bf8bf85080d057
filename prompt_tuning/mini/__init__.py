"""The mini suite: tasks in a small templated English, their backbone and its pre-training."""
