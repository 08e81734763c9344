"""The training of banks and of networks: `from adbench.training import Budget, Training, Tuner`.

- `Training`: trains a network for a fixed number of steps, by Adam unless told otherwise; the last weights count. The
  seed decides everything random. Where the run has a cache, a stopped training goes on from its last checkpoint, to the
  same bits. The progress of a run shows step and loss. A loss that is not finite fails the unit, with the step.
- `Optimization`: what a training needs that has another optimiser than Adam, or rates that change.
- `Budget`: steps, batch, learning rate and weight decay.
- `loss_facts`: what a record's facts say of the losses.
- `Tuner`: the contract of components that adapt a backbone's network to normal images. It is given a `Trainable` and a
  `BatchStream`, and gives a `Tuned`.

Importing this module imports no torch.
"""

from adbench.api.training.budget import Budget, Optimization
from adbench.api.training.facts import loss_facts
from adbench.api.training.loop import Training
from adbench.api.training.tuner import BatchStream, Trainable, Tuned, Tuner

__all__ = ["BatchStream", "Budget", "Optimization", "Trainable", "Training", "Tuned", "Tuner", "loss_facts"]
