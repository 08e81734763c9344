"""The training of a network: a fixed number of steps, the last weights, one seed, normal examples only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from adbench.api.training.budget import Budget, Optimization
from adbench.api.training.checkpoint import FOLDER, Checkpoint
from adbench.api.training.order import ExampleOrder
from adbench.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from adbench.api.context import Context

    Loss = Callable[[Tensor, torch.Generator], Tensor]
    """The loss of a step, a scalar with a gradient, from the indices [B] int64 of its examples and a generator for all
    other randomness (on the CPU)."""

STAGE = "train"
"""The name of the stage for `Context.watch`; the loss follows it."""

LOOK = 10
"""Steps between two looks at the losses, for which a GPU has to be waited for."""


class Training:
    """A network in training, with Adam unless it is told otherwise.

    Each example is in a batch once before any is repeated. The seed of the context decides the order and the noise.

    Args:
        network: on the context's device.
        loss: of a step.
        examples: how many there are.
        budget: steps, batch, learning rate and weight decay.
        ctx: seed, device, cache, and who watches the progress.
        name: of the streams of randomness, and of the folder with checkpoints; the bank's name.
        who: the component, as messages write it.
        optimization: in place of Adam with the budget's learning rate and weight decay.

    Attributes:
        losses: of the steps that were taken.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        examples: int,
        budget: Budget,
        ctx: Context,
        *,
        name: str,
        who: str,
        optimization: Optimization | None = None,
    ) -> None:
        self.network, self.budget, self.losses = network, budget, list[float]()
        self._loss, self._ctx, self._name, self._who = loss, ctx, name, who
        self._order = ExampleOrder(examples, budget.batch, ctx.generator(f"{name}/order"))
        self._noise = ctx.generator(f"{name}/noise")
        self._optimization = optimization or _Adam(budget)
        self._optimizer = self._optimization.optimizer([one for one in network.parameters() if one.requires_grad])
        self._trained = [one for group in self._optimizer.param_groups for one in group["params"]]
        self._begun = 0

    def run(self, about: dict[str, Any], *examples: Tensor) -> Tensor:
        """Run all steps; where the context has a cache, from the last checkpoint of the same training, if there is one.

        Args:
            about: what decides the training beside seed, device and examples, as JSON: the bank's options and version.
            *examples: what is learned from, on the CPU; a checkpoint holds for the same examples only.

        Returns:
            [steps] float32: the losses.

        Raises:
            UsageError: a loss or a weight is not finite; the step is named, and the last valid checkpoint stays.
        """
        import torch

        checkpoint = self._checkpoint(about, examples)
        if checkpoint is not None:
            checkpoint.find(self)
        with torch.inference_mode(mode=False), torch.enable_grad():
            while len(self.losses) < self.budget.steps:
                self._some_steps(min(LOOK, self.budget.steps - len(self.losses)))
                self._ctx.watch(f"{STAGE}, loss {self.losses[-1]:.4g}", len(self.losses), self.budget.steps)
                if checkpoint is not None and checkpoint.is_due(self):
                    self._require_finite()  # or a valid checkpoint would be replaced by one that leads nowhere
                    checkpoint.keep(self)
        self._require_finite()
        if checkpoint is not None:
            checkpoint.done()
        return torch.tensor(self.losses)

    def state(self) -> dict[str, Tensor]:
        """The state of the training: everything that the next step depends on."""
        import torch

        optimizer = self._optimizer.state_dict()["state"]
        moments = {f"{number}.{name}": value for number, one in optimizer.items() for name, value in one.items()}
        tensors = {name: value for name, value in moments.items() if isinstance(value, torch.Tensor)}
        numbers = {name: value for name, value in moments.items() if isinstance(value, int | float)}
        return {
            **{f"network.{name}": value for name, value in self.network.state_dict().items()},
            **{f"optimizer.{name}": value for name, value in tensors.items()},
            **{f"number.{name}": torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()},
            **{f"order.{name}": value for name, value in self._order.state().items()},
            "noise": self._noise.get_state(),
            "losses": torch.tensor(self.losses, dtype=torch.float64),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.network.load_state_dict(_below(state, "network."))
        moments: dict[int, dict[str, Tensor | float]] = {}
        for name, value in _below(state, "optimizer.").items():
            number, _, what = name.partition(".")
            moments.setdefault(int(number), {})[what] = _laid_out(value, self._trained[int(number)])
        for name, value in _below(state, "number.").items():
            number, _, what = name.partition(".")
            moments.setdefault(int(number), {})[what] = value.item()
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self._order.restore(_below(state, "order."))
        self._noise.set_state(state["noise"])
        self.losses = state["losses"].tolist()
        self._begun = len(self.losses)

    def _checkpoint(self, about: dict[str, Any], examples: tuple[Tensor, ...]) -> Checkpoint | None:
        ctx = self._ctx
        if ctx.cache is None:
            return None
        surroundings = {"seed": ctx.stream_seed(self._name), "device": ctx.device}
        return Checkpoint(ctx.cache / FOLDER / self._name, {**about, **surroundings}, examples)

    def _some_steps(self, count: int) -> None:
        import torch

        losses = torch.stack([self._step() for _ in range(count)]).cpu()
        wrong = losses.isfinite().logical_not()
        if wrong.any():
            step, loss = len(self.losses) + int(wrong.nonzero()[0]) + 1, float(losses[wrong][0])
            if step == 1:  # no rate has had any effect yet
                raise UsageError(
                    f"{self._who}: its loss is {loss} at step 1 of {self.budget.steps}, before anything was learned;"
                    " the values that it learns from are too large for it: scale them, or choose another backbone"
                )
            raise UsageError(
                f"{self._who}: its loss became {loss} at step {step} of {self.budget.steps}; use a smaller rate"
            )
        self.losses.extend(losses.tolist())

    def _require_finite(self) -> None:
        """Refuse weights that are not finite: the last step can spoil them after its loss was finite."""
        if not all(bool(one.isfinite().all()) for one in self._trained):
            step = f"step {len(self.losses)} of {self.budget.steps}"
            raise UsageError(f"{self._who}: its weights became NaN or infinite at {step}; use a smaller rate")

    def _step(self) -> Tensor:
        """Run one step; returns its loss."""
        self._optimization.before_step(self._begun)
        self._begun += 1
        loss = self._loss(self._order.next(), self._noise)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()


class _Adam(Optimization):
    """Adam at the budget's rate, with the decay added to the gradient."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.Adam(parameters, lr=self._budget.rate, weight_decay=self._budget.decay, fused=True)


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _laid_out(value: Tensor, like: Tensor) -> Tensor:
    """The tensor in the memory layout of its parameter: the fused Adam reads both together without a check."""
    import torch

    return torch.empty_like(like, requires_grad=False).copy_(value) if value.shape == like.shape else value
