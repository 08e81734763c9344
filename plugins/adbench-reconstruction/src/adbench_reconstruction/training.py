"""The training of an autoencoder: a fixed number of steps, the last weights, one seed, normal examples only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from adbench import UsageError
from adbench_reconstruction.corruption import Corruption, corrupted
from adbench_reconstruction.ssim import similarity

if TYPE_CHECKING:
    from adbench_reconstruction.checkpoint import Checkpoint
    from adbench_reconstruction.networks import NetworkOutput
    from adbench_reconstruction.pool import Pool

Loss = Literal["l2", "ssim"]

LOOK = 50
"""Steps between two looks at the losses, which a GPU would have to be waited for."""

WINDOW, SPAN = 11, 1.0
"""Of the SSIM that is learned by: that of pixels from 0 to 1."""


@dataclass(frozen=True)
class Plan:
    """The options of a training.

    Attributes:
        steps: in all.
        batch: examples a step; all of them where there are fewer.
        rate: learning rate of Adam.
        decay: its weight decay.
        loss: ``"l2"``: the mean squared error of standardised values; ``"ssim"``: the mean of 1 - SSIM of raw ones.
        beta: weight of the code's divergence; with 1, ``"l2"`` and noise of one standard deviation it is the negative
            evidence lower bound, a value.
        corrupt: what the examples suffer before the network sees them; it has to give them back whole.
        precision: in which layers compute; losses and weights are in single precision.
    """

    steps: int
    batch: int
    rate: float
    decay: float
    loss: Loss
    beta: float
    corrupt: Corruption
    precision: Literal["float32", "bfloat16"]


@dataclass
class Training:
    """A network in training.

    Attributes:
        network: on its device.
        pool: what it learns from.
        plan: how.
        order, noise: what draws the examples, and everything else.
        who: the component, as messages write it.
        losses: of the steps that were taken.
    """

    network: torch.nn.Module
    pool: Pool
    plan: Plan
    order: torch.Generator
    noise: torch.Generator
    who: str
    losses: list[float] = field(default_factory=list)
    _queue: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        self._optimizer = torch.optim.Adam(
            self.network.parameters(), lr=self.plan.rate, weight_decay=self.plan.decay, fused=True
        )
        self._device = next(self.network.parameters()).device
        self._mean, self._std = (self._shaped(figures) for figures in (self.pool.mean, self.pool.std))

    def run(self, checkpoint: Checkpoint | None) -> Tensor:
        """Run the remaining steps, from the checkpoint if there is one.

        Returns:
            [steps] float32: the losses.

        Raises:
            UsageError: a loss is not finite; the step is named, and the last sound checkpoint stays.
        """
        if checkpoint is not None:
            checkpoint.find(self)
        with torch.inference_mode(mode=False), torch.enable_grad():
            while len(self.losses) < self.plan.steps:
                self._some_steps(min(LOOK, self.plan.steps - len(self.losses)))
                if checkpoint is not None:
                    checkpoint.keep(self)
        return torch.tensor(self.losses)

    def state(self) -> dict[str, Tensor]:
        """The state of the training: everything that the next step depends on."""
        optimizer = self._optimizer.state_dict()["state"]
        moments = {f"{number}.{name}": value for number, one in optimizer.items() for name, value in one.items()}
        return {
            **{f"network.{name}": value for name, value in self.network.state_dict().items()},
            **{f"optimizer.{name}": value for name, value in moments.items()},
            "order": self.order.get_state(),
            "noise": self.noise.get_state(),
            "queue": self._queue,
            "losses": torch.tensor(self.losses, dtype=torch.float64),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore a state from `state`."""
        self.network.load_state_dict(_below(state, "network."))
        parameters = list(self.network.parameters())
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(state, "optimizer.").items():
            number, _, what = name.partition(".")
            moments.setdefault(int(number), {})[what] = _laid_out(value, parameters[int(number)])
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self.order.set_state(state["order"])
        self.noise.set_state(state["noise"])
        self._queue, self.losses = state["queue"], state["losses"].tolist()

    def _some_steps(self, count: int) -> None:
        losses = torch.stack([self._step() for _ in range(count)]).cpu()
        wrong = losses.isfinite().logical_not()
        if wrong.any():
            step = len(self.losses) + int(wrong.nonzero()[0]) + 1
            raise UsageError(
                f"{self.who}: its loss became {float(losses[wrong][0])} at step {step} of {self.plan.steps}; use a"
                " smaller rate"
            )
        self.losses.extend(losses.tolist())

    def _step(self) -> Tensor:
        """Run one step; returns its loss."""
        clean = self._drawn()
        shown = corrupted(clean, self.plan.corrupt, self.noise)
        with torch.autocast(clean.device.type, torch.bfloat16, enabled=self.plan.precision == "bfloat16"):
            output = self.network(shown, self.noise)
        loss = self._loss(clean, output)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()

    def _loss(self, clean: Tensor, output: NetworkOutput) -> Tensor:
        reconstruction = output.reconstruction.float()
        if self.plan.loss == "l2":
            loss = (reconstruction - clean).square().mean()
        else:
            wanted, found = (grids * self._std + self._mean for grids in (clean, reconstruction))
            loss = 1 - similarity(wanted, found, window=WINDOW, span=SPAN).mean()
        if output.divergence is not None:
            loss = loss + self.plan.beta * 2 * output.divergence.float().mean() / clean[0].numel()
        return loss

    def _drawn(self) -> Tensor:
        """The next batch, standardised: every example comes once before any comes again."""
        count = min(self.plan.batch, len(self.pool.examples))
        if len(self._queue) < count:
            again = torch.randperm(len(self.pool.examples), generator=self.order)
            self._queue = torch.cat([self._queue, again])
        chosen, self._queue = self._queue[:count], self._queue[count:]
        batch = (self.pool.examples[chosen].to(self._device) - self._mean) / self._std
        return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch

    def _shaped(self, figures: Tensor) -> Tensor:
        """A vector [C] in the shape of examples [C, H, W] or [C]."""
        return figures.to(self._device).reshape(-1, *[1] * (self.pool.examples.ndim - 2))


def _below(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _laid_out(value: Tensor, like: Tensor) -> Tensor:
    """The tensor in the memory layout of its parameter: the fused Adam reads both together without a check."""
    return torch.empty_like(like, requires_grad=False).copy_(value) if value.shape == like.shape else value
