"""The training of banks: a budget of steps, checkpoints, progress."""
