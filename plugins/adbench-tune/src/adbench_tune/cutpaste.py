"""The tuner `cutpaste`: a network learns to tell normal images from images with a cut and pasted piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Field
from adbench.training import Budget, Training, Tuned, Tuner, loss_facts

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from adbench import Context
    from adbench.training import BatchStream, Trainable

MOMENTUM = 0.9
"""Of SGD."""

WAYS = 3
"""Classes: the image as it is, with a piece, with a scar."""


class CutPaste(Tuner):
    """CutPaste with three classes (Li et al., "CutPaste", CVPR 2021, https://arxiv.org/abs/2104.04015).

    Each image of a step is shown as it is, with a piece of itself pasted elsewhere, and with a thin scar. A head on the
    image vector tells the three apart; it is thrown away afterwards. All weights of the network learn, by SGD with
    momentum and a rate that falls along half a cosine. The last weights count.
    """

    name: ClassVar[str] = "cutpaste"

    class Config(Tuner.Config):
        """Options."""

        steps: int = Field(65_536, ge=0, description="training steps; 0 leaves the network as it is (frozen control)")
        batch: int = Field(32, ge=1, description="images a step, each shown in three ways; all where there are fewer")
        rate: float = Field(0.03, gt=0, description="learning rate of SGD in the first step")
        decay: float = Field(3e-5, ge=0, description="weight decay of SGD")
        hidden: tuple[int, ...] = Field((512, 128), description="widths of the head's hidden layers")

    config: Config

    def tune(self, trainable: Trainable, images: BatchStream, ctx: Context) -> Tuned:
        """Train all weights of the network in place.

        Raises:
            DataError: there is no image, or images of different sizes.
            UsageError: the images do not fit into memory, or the loss is not finite, with the step.
        """
        from adbench_tune.pool import pool_of

        pool = pool_of(images, self.title)
        if self.config.steps == 0:
            return Tuned(facts={"steps": 0.0})
        network = self._network(trainable, pool, ctx)
        about = {**self.identity(), "version": self.version}
        first = [value.detach().cpu().reshape(-1) for value in trainable.network.state_dict().values()]
        training = self._training(network, pool, ctx)
        losses = training.run(about, pool, *first)
        network.eval().requires_grad_(requires_grad=False)
        return Tuned(losses.tolist(), {"steps": float(self.config.steps), **loss_facts(losses)})

    def _network(self, trainable: Trainable, pool: Tensor, ctx: Context) -> Any:
        """The network with a head of random weights, all in training mode."""
        import torch

        from adbench_tune.heads import Classified

        with torch.no_grad():
            width = trainable.network(pool[:1].to(ctx.device))[-1].shape[1]
        made = Classified(trainable.network, width, self.config.hidden, WAYS, ctx.generator("cutpaste/head"))
        return made.to(ctx.device).train().requires_grad_(requires_grad=True)

    def _training(self, network: Any, pool: Tensor, ctx: Context) -> Training:
        import torch

        from adbench_tune.optimizers import CosineSgd

        config = self.config

        def loss(indices: Tensor, generator: torch.Generator) -> Tensor:
            shown, classes = examples(pool[indices], generator)
            return torch.nn.functional.cross_entropy(network(shown.to(ctx.device)), classes.to(ctx.device))

        budget = Budget(config.steps, config.batch, config.rate, config.decay)
        sgd = CosineSgd(config.rate, MOMENTUM, config.decay, config.steps)
        return Training(network, loss, len(pool), budget, ctx, name=self.name, who=self.title, optimization=sgd)


def examples(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images [3 B, 3, H, W] as they are, then with pieces, then with scars, and their classes [3 B] int64."""
    import torch

    from adbench_tune.defects import with_piece, with_scar

    pieces, scars = ([draw(image, generator) for image in images] for draw in (with_piece, with_scar))
    shown = torch.cat([images, torch.stack(pieces), torch.stack(scars)])
    return shown, torch.arange(WAYS).repeat_interleave(len(images))
