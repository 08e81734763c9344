"""The normal images that a tuner learns from, in memory, and the figures that tell whether features collapsed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from adbench import DataError
from adbench.banks import require_room

if TYPE_CHECKING:
    from adbench.training import BatchStream

BATCH = 16
"""Images that are looked at together."""


def pool_of(images: BatchStream, who: str) -> Tensor:
    """All images [N, 3, H, W] float32 from 0 to 1, on the CPU.

    Raises:
        DataError: there are none, or they have different sizes.
        UsageError: they do not fit into memory.
    """
    held: list[Tensor] = []
    for batch in images:
        given = batch.images.float().cpu()
        if held and given.shape[1:] != held[0].shape[1:]:
            raise DataError(f"{who} learns from images of one size, and {batch.ids[0]} has another; resize all of them")
        if not held:
            require_room(2 * 4 * len(images) * given[0].numel(), f"{who}", "use smaller images", "cpu")
        held.append(given)
    if not held:
        raise DataError(f"{who} has no normal image to learn from")
    return torch.cat(held)


@torch.no_grad()
def vectors_of(network: nn.Module, pool: Tensor, device: str) -> Tensor:
    """The image vectors [N, D] of a network in eval mode, on the CPU."""
    return torch.cat([network(part.to(device))[-1].float().cpu() for part in torch.split(pool, BATCH)])


def effective_rank(vectors: Tensor) -> float:
    """How many directions vectors [N, D] use: exp of the entropy of their singular values about the mean.

    Roy and Vetterli, "The effective rank", EUSIPCO 2007, with the mean taken out: 1 for vectors on a line, 0 where all
    are equal.
    """
    values = torch.linalg.svdvals(vectors.double() - vectors.double().mean(dim=0))
    shares = values / values.sum() if values.sum() > 0 else values
    return float(torch.special.entr(shares).sum().exp()) if shares.any() else 0.0


def spread(vectors: Tensor) -> float:
    """The mean distance of vectors [N, D] from their mean, in lengths of a vector; 0 where all are equal."""
    wide = vectors.double()
    length = wide.norm(dim=1).mean().clamp_min(1e-12)
    return float((wide - wide.mean(dim=0)).norm(dim=1).mean() / length)


RANK_ALARM, SPREAD_ALARM = 0.25, 0.1
"""The shares of the frozen network's rank and spread below which the features count as collapsed."""


def compared(frozen: Tensor, tuned: Tensor) -> tuple[dict[str, float], tuple[str, ...]]:
    """Facts about vectors [N, D] of the same images before and after, and the alarm if they collapsed.

    The frozen network is the control: a tuned one that spreads normal images much less has lost what told them apart.
    """
    ranks, spreads = (effective_rank(frozen), effective_rank(tuned)), (spread(frozen), spread(tuned))
    collapsed = ranks[1] < RANK_ALARM * ranks[0] or spreads[1] < SPREAD_ALARM * spreads[0]
    moved = 1 - torch.cosine_similarity(frozen.double(), tuned.double(), dim=1).mean()
    facts = {
        "rank_frozen": ranks[0],
        "rank": ranks[1],
        "spread_frozen": spreads[0],
        "spread": spreads[1],
        "moved": float(moved),
        "collapsed": float(collapsed),
    }
    alarm = (
        f"collapse alarm: the features of normal images spread over {ranks[1]:.1f} directions (effective rank;"
        f" {ranks[0]:.1f} before) and {spreads[1]:.2g} lengths ({spreads[0]:.2g} before); take fewer steps or a smaller"
        " rate"
    )
    return facts, (alarm,) if collapsed else ()
