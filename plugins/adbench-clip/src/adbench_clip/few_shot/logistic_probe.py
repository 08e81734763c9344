"""The scorer by a logistic regression on the exemplars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from adbench import Component, Field
from adbench_clip.few_shot.class_logits import ClassScorer
from adbench_clip.few_shot.exemplar_bank import ExemplarBank

if TYPE_CHECKING:
    from torch import Tensor

MOST_STEPS = 1000


class _Probe(NamedTuple):
    """The weights [K, D] and biases [K], float64, of a regression on `vectors`."""

    vectors: Tensor
    weight: Tensor
    bias: Tensor


class LogisticProbe(ClassScorer):
    """A multinomial logistic regression with an L2 penalty on the unit vectors (CLIP's linear probe, arXiv 2103.00020).

    It minimises ``cost * sum of cross entropies + |weights|^2 / 2`` by L-BFGS in float64; biases are free. It is fitted
    when the first image is scored, on the bank's vectors alone.

    CLIP's cost is 0.316 on vectors that are about 10 long. On unit vectors the same regression needs weights 10 times
    as large, whose penalty is 100 times as high: so the default is 31.6. There are many more normal images than defects
    of a type, and without balance the probe calls every image normal.
    """

    name = "logistic-probe"
    version = 2

    class Config(Component.Config):
        cost: float = Field(31.6, gt=0, description="weight of the errors against the penalty")
        balanced: bool = Field(
            True, description="all classes weigh the same, as class_weight='balanced' in scikit-learn; or all images do"
        )

    config: Config

    def __init__(self, /, **options: Any) -> None:
        super().__init__(**options)
        self._probe: _Probe | None = None

    def logits(self, vectors: Tensor, bank: ExemplarBank) -> Tensor:
        probe = self._probe
        if probe is None or probe.vectors is not bank.vectors:
            fitted = fitted_probe(bank.vectors, bank.classes, self.config.cost, balanced=self.config.balanced)
            probe = self._probe = _Probe(bank.vectors, *fitted)
        return vectors.double() @ probe.weight.T + probe.bias


def fitted_probe(vectors: Tensor, classes: Tensor, cost: float, *, balanced: bool = False) -> tuple[Tensor, Tensor]:
    """Weights [K, D] and biases [K], float64, of the regression.

    Args:
        vectors: [N, D].
        classes: [N] int64, any numbers.
        cost: as in the options.
        balanced: as in the options.
    """
    import torch
    from torch.nn.functional import cross_entropy

    names, targets, counts = torch.unique(classes, return_inverse=True, return_counts=True)
    rows = vectors.double()
    shares = len(rows) / (len(names) * counts.double()) if balanced else torch.ones_like(counts, dtype=rows.dtype)
    with torch.inference_mode(mode=False), torch.enable_grad():
        rows, targets, shares = rows.clone(), targets.clone(), shares.clone()
        weight = rows.new_zeros(len(names), rows.shape[1]).requires_grad_()
        bias = rows.new_zeros(len(names)).requires_grad_()
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=MOST_STEPS,
            tolerance_grad=1e-9,
            tolerance_change=1e-14,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            optimizer.zero_grad()
            errors = cross_entropy(rows @ weight.T + bias, targets, shares, reduction="sum")
            value: Tensor = cost * errors + weight.square().sum() / 2
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
