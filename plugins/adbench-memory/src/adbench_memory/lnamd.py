"""MuSc's neck: averages over neighbourhoods of several sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from adbench import Features, Field, Neck

if TYPE_CHECKING:
    from torch import Tensor


class Lnamd(Neck):
    """Each layer normalised, then its places averaged over neighbourhoods of several sizes, at unit length (LNAMD).

    MuSc (arXiv 2401.16753; xrli-U/MuSc, ``_LNAMD.py``): a layer norm over all channels and places of an
    image, an unfolding to r x r places with zeros beyond the border, a pooling of the C r² values to C, a division by
    the length. The pooling takes r² values at a time, which are the places of one channel: it is their mean, and so
    computed as one. Layers named ``block5`` become ``block5-r1``, ``block5-r3`` and so on; without layers, patches do.
    """

    name: ClassVar[str] = "lnamd"

    class Config(Neck.Config):
        sizes: tuple[int, ...] = Field(
            (1, 3, 5), min_length=1, description="sides of the neighbourhoods in places, odd numbers"
        )

        @field_validator("sizes", mode="before")
        @classmethod
        def _listed(cls, value: Any) -> Any:
            """A list from one size, as the command line writes it."""
            return value if isinstance(value, list | tuple) else [value]

        @field_validator("sizes")
        @classmethod
        def _odd(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
            if any(size < 1 or size % 2 == 0 for size in sizes):
                raise ValueError("must be odd, so that a neighbourhood has a middle")
            return tuple(sorted(set(sizes)))

    config: Config

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        return frozenset({"layers"})

    def apply(self, features: Features) -> Features:
        layers = features.layers or {"patches": features.need_patches(self.title)}
        normed = {name: _normed(layer) for name, layer in layers.items()}
        return features.having(
            layers={
                f"{name}-r{size}": _averaged(layer, size)
                for size in self.config.sizes
                for name, layer in normed.items()
            }
        )


def _normed(layer: Tensor) -> Tensor:
    """Maps [B, C, H, W] with mean 0 and variance 1 over all of an image's [B, H, W, C]; epsilon is PyTorch's 1e-5."""
    from torch.nn.functional import layer_norm

    channels_first = layer.float().permute(0, 3, 1, 2)
    return layer_norm(channels_first, channels_first.shape[1:])


def _averaged(layer: Tensor, size: int) -> Tensor:
    """Means [B, H, W, C] of unit length over size x size places of [B, C, H, W], zeros beyond the border."""
    from torch.nn.functional import avg_pool2d, normalize

    pooled = layer if size == 1 else avg_pool2d(layer, size, 1, size // 2)
    return normalize(pooled.permute(0, 2, 3, 1), dim=-1)
