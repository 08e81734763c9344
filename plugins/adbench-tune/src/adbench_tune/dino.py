"""The tuner `dino`: the last blocks of a network learn to say the same of different views of an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from adbench import Field
from adbench.training import Budget, Training, Tuned, Tuner, loss_facts

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from adbench import Context
    from adbench.training import BatchStream, Trainable
    from adbench_tune.distillation import Distillation
    from adbench_tune.masking import MaskToken


class Dino(Tuner):
    """DINO (Caron et al., 2021, https://arxiv.org/abs/2104.14294) on a network that is trained already.

    A head of random weights learns first, with the network frozen, since it would destroy what the network knows; then
    the last blocks learn as well. The tuned network is the teacher, a moving average of the student. All other weights
    stay as they are, and so do statistics of batch norms. The facts compare the image vectors of the normal images
    before and after, and an alarm tells where they collapsed.
    """

    name: ClassVar[str] = "dino"

    class Config(Tuner.Config):
        """Options."""

        steps: int = Field(
            1000, ge=0, description="training steps, the head's own among them; 0 leaves the network as it is"
        )
        head_steps: int = Field(250, ge=0, description="steps in which the head learns alone")
        blocks: int = Field(2, ge=1, description="how many of the last blocks learn after that")
        batch: int = Field(8, ge=1, description="images a step; all where there are fewer")
        rate: float = Field(5e-5, gt=0, description="highest learning rate of AdamW for the blocks")
        head_rate: float = Field(5e-4, gt=0, description="the same for the head")
        decay: float = Field(0.04, ge=0, description="weight decay of AdamW")
        momentum: float = Field(0.99, ge=0, lt=1, description="share of itself that the teacher keeps in a step")
        temperature: float = Field(0.04, gt=0, description="the teacher's temperature; the student's is 0.1")
        crop: int = Field(224, ge=8, description="side of a global view in pixels")
        local_crop: int = Field(112, ge=8, description="side of a local view in pixels")
        local_views: int = Field(2, ge=0, description="local views of an image, beside two global ones")
        flip: bool = Field(True, description="mirror half of the views")
        jitter: float = Field(0.4, ge=0, le=1, description="change of the views' colours")
        prototypes: int = Field(1024, ge=2, description="outputs of the head")

        @model_validator(mode="after")
        def _blocks_learn(self) -> Dino.Config:
            if self.steps and self.head_steps >= self.steps:
                raise ValueError(
                    f"head_steps={self.head_steps} leaves none of {self.steps} steps to the blocks; give fewer"
                    " head_steps, or more steps"
                )
            return self

    config: Config

    def tune(self, trainable: Trainable, images: BatchStream, ctx: Context) -> Tuned:
        """Train the last blocks of the network in place.

        Raises:
            DataError: there is no image, or images of different sizes.
            UsageError: the images do not fit into memory, or the loss is not finite, with the step.
        """
        from adbench_tune.pool import compared, pool_of, vectors_of

        pool = pool_of(images, self.title)
        frozen = vectors_of(trainable.network, pool, ctx.device)
        facts, losses = {"steps": float(self.config.steps)}, list[float]()
        if self.config.steps:
            found = self._trained(trainable, pool, ctx)
            losses, facts = found.tolist(), {**facts, **loss_facts(found)}
        told, notes = compared(frozen, vectors_of(trainable.network, pool, ctx.device))
        return Tuned(losses, {**facts, **told}, notes)

    def token(self, trainable: Trainable, image: Tensor) -> MaskToken | None:  # noqa: ARG002  iBOT has one
        """The vector in place of masked patches; None where none are masked.

        Args:
            trainable: what is tuned.
            image: [1, 3, H, W] on the network's device.
        """
        return None

    def _trained(self, trainable: Trainable, pool: Tensor, ctx: Context) -> Tensor:
        """[steps] float32: the losses; the network is then the teacher's."""
        student = trainable.network
        pair = self._pair(trainable, ctx)
        learning = [one for block in trainable.blocks[-self.config.blocks :] for one in block.parameters()]
        training = self._training(pair, learning, pool, ctx)
        first = [value.detach().cpu().reshape(-1) for value in student.state_dict().values()]
        losses = training.run({**self.identity(), "version": self.version}, pool, *first)
        student.load_state_dict(pair.teacher.state_dict())
        student.requires_grad_(requires_grad=False)
        return losses

    def _pair(self, trainable: Trainable, ctx: Context) -> Distillation:
        import torch

        from adbench_tune.distillation import Distillation
        from adbench_tune.heads import ProjectionHead

        probe = torch.zeros(1, 3, self.config.crop, self.config.crop, device=ctx.device)
        token = self.token(trainable, probe)
        with torch.no_grad():
            *_, grid, image = trainable.network(probe)
        widths = {"image": image.shape[1], **({} if token is None else {"patch": grid.shape[3]})}
        generator = ctx.generator(f"{self.name}/head")
        heads = {
            name: ProjectionHead(width, 4 * width, 256, self.config.prototypes, generator)
            for name, width in widths.items()
        }
        return Distillation(trainable.network, heads, token).to(ctx.device)

    def _training(self, pair: Distillation, learning: list[nn.Parameter], pool: Tensor, ctx: Context) -> Training:
        from adbench_tune.optimizers import StagedAdam

        config = self.config
        for one in learning:
            one.requires_grad_(True)
        staged = StagedAdam(
            learning,
            rates=(config.rate, config.head_rate),
            decay=config.decay,
            steps=config.steps,
            alone=config.head_steps,
            after=lambda step: pair.follow(self._momentum(step)),
        )
        budget = Budget(config.steps, config.batch, config.rate, config.decay)
        loss = self._loss(pair, pool, ctx)
        return Training(pair, loss, len(pool), budget, ctx, name=self.name, who=self.title, optimization=staged)

    def _momentum(self, step: int) -> float:
        """The share that the teacher keeps: it rises to 1 along half a cosine (DINO)."""
        return 1 - (1 - self.config.momentum) * (math.cos(math.pi * step / self.config.steps) + 1) / 2

    def _loss(self, pair: Distillation, pool: Tensor, ctx: Context) -> Any:
        from adbench_tune.views import ViewRule

        config = self.config
        rule = ViewRule(config.crop, config.local_crop, config.flip, config.jitter)
        masks = self._masks(pair, ctx)

        def loss(indices: Tensor, generator: torch.Generator) -> Tensor:
            shown, small = rule.views(pool[indices], config.local_views, generator)
            hidden = masks(len(indices), generator)
            views = [view.to(ctx.device) for view in small]
            return pair.loss(shown.to(ctx.device), views, config.temperature, hidden)

        return loss

    def _masks(self, pair: Distillation, ctx: Context) -> Callable[[int, torch.Generator], Tensor | None]:
        """Draws masks [2, B, H', W'] for the global views of so many images; None where no patches are masked."""
        import torch

        from adbench_tune.views import masks_for

        if pair.token is None:
            return lambda _images, _generator: None
        rows, columns = pair.grid(torch.zeros(1, 3, self.config.crop, self.config.crop, device=ctx.device))

        def draw(images: int, generator: torch.Generator) -> Tensor:
            drawn = masks_for(2 * images, rows, columns, generator)
            return drawn.reshape(2, images, rows, columns).to(ctx.device)

        return draw
