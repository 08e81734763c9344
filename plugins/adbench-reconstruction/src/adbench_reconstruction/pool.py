"""The training examples of an autoencoder, in memory: whole images, or a sample of patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench import DataError
from adbench.banks import checked_batches, require_room

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, Features, FeatureStream


_FEWER = "use smaller images, fewer channels, or form=place, which takes a sample"


@dataclass(frozen=True)
class Pool:
    """Training examples, and the mean and spread that standardise them.

    Attributes:
        examples: [N, C, H, W] images or [N, C] patches, float32 on the CPU.
        mean: [C].
        std: [C]; 1 for a channel that never changes.
    """

    examples: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, examples: Tensor) -> Pool:
        import torch

        values = examples.transpose(0, 1).flatten(1)
        mean, std = (torch.stack(figures).float() for figures in zip(*map(_mean_and_spread, values), strict=True))
        return cls(examples, mean, torch.where(std > 0, std, 1.0))


def _mean_and_spread(values: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and spread of one channel, in double precision; a spread that is only rounding counts as none."""
    wide = values.double()
    mean, std = wide.mean(), wide.std(correction=0)
    return mean, std * (std > 1e-6 * wide.abs().max())


def images_of(features: FeatureStream, who: str) -> Tensor:
    """All images [N, C, H, W] float32.

    Raises:
        DataError: there are none, or they have different grids.
        ContractError: there are no patches, or some are not finite.
        UsageError: they do not fit into memory.
    """
    import torch

    held: list[Tensor] = []
    for batch in checked_batches(features, who):
        grid = batch.need_patches(who).float().permute(0, 3, 1, 2).cpu()
        if held and grid.shape[1:] != held[0].shape[1:]:
            raise DataError(
                f"{who} redraws whole images of {_size(held[0])} patches, but an image has {_size(grid)}; resize and"
                " crop all images to one size"
            )
        if not held:
            need = 2 * 4 * len(features) * grid[0].numel()  # once held batch by batch, once as one
            require_room(need, f"{who} with {len(features):,} whole images", _FEWER, "cpu")
        held.append(grid)
    return torch.cat(held)


def patches_of(features: FeatureStream, count: int, ctx: Context, who: str) -> Tensor:
    """A sample of patches [N, C] float32, the same number from each image, and all where there are fewer than `count`.

    Patches outside a foreground are left out.

    Raises:
        DataError: there are none.
        ContractError, UsageError: as `images_of`.
    """
    import torch

    generator, each = ctx.generator("autoencoder/sample"), -(-count // max(1, len(features)))
    held = [
        rows[torch.randperm(len(rows), generator=generator)[:each].sort().values.to(rows.device)].float().cpu()
        for batch in checked_batches(features, who)
        for rows in _by_image(batch, who)
    ]
    return torch.cat(held)


def _by_image(batch: Features, who: str) -> tuple[Tensor, ...]:
    import torch

    rows, counts = batch.object_patches(who)
    return torch.split(rows, counts)


def _size(grid: Tensor) -> str:
    return f"{grid.shape[-2]} x {grid.shape[-1]}"
