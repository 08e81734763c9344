"""Necks between backbone and bank: neighbourhoods, merged layers, fewer channels, unit length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from adbench import Features, Field, Neck, UsageError

if TYPE_CHECKING:
    from torch import Tensor


def _on_grids(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """The features with every grid changed, `layers` and `patches` alike; a grid that is both is changed once."""
    done: dict[int, Tensor] = {}

    def once(grid: Tensor) -> Tensor:
        if id(grid) not in done:
            done[id(grid)] = change(grid)
        return done[id(grid)]

    layers = features.layers and {name: once(grid) for name, grid in features.layers.items()}
    patches = None if features.patches is None else once(features.patches)
    return features.having(layers=layers, patches=patches)


class Patchify(Neck):
    """Each patch sees its neighbourhood (PatchCore, https://arxiv.org/abs/2106.08265, section 3.1).

    ``average`` takes the mean over size x size places, zeros beyond the border counted: the paper's f_agg, and
    anomalib's form. ``unfold`` lays the neighbourhood's values side by side, channel by channel, and averages
    neighbours in that list down to `dim` values: the official code's form.
    """

    name = "patchify"
    plain = True

    class Config(Neck.Config):
        size: int = Field(3, ge=1, description="side of the neighbourhood in patches, an odd number")
        form: Literal["average", "unfold"] = Field("average", description="anomalib's form, or the official code's")
        dim: int | None = Field(None, ge=1, description="values a patch and layer for the form unfold; none keeps all")

        @field_validator("size")
        @classmethod
        def _odd(cls, size: int) -> int:
            if size % 2 == 0:
                raise ValueError("must be odd, so that a neighbourhood has a middle")
            return size

    config: Config

    def apply(self, features: Features) -> Features:
        return _on_grids(features, self._average if self.config.form == "average" else self._unfold)

    def widths_after(self, widths: Mapping[str, int]) -> Mapping[str, int] | None:
        if self.config.form == "average":
            return widths
        if self.config.dim is not None:
            return None
        return {layer: width * self.config.size**2 for layer, width in widths.items()}

    def _average(self, grid: Tensor) -> Tensor:
        from torch.nn.functional import avg_pool2d

        size = self.config.size
        return avg_pool2d(grid.permute(0, 3, 1, 2), size, 1, size // 2).permute(0, 2, 3, 1)

    def _unfold(self, grid: Tensor) -> Tensor:
        from torch.nn.functional import unfold

        batch, height, width, _ = grid.shape
        columns = unfold(grid.permute(0, 3, 1, 2), self.config.size, padding=self.config.size // 2)
        values = columns.transpose(1, 2).reshape(batch, height, width, -1)
        return values if self.config.dim is None else _pool_channels(values, self.config.dim)


class _MergesLayers(Neck):
    """The base of necks that merge layers into patches."""

    needs: ClassVar[frozenset[str]] = frozenset({"layers"})

    class Config(Neck.Config):
        upsample: Literal["bilinear", "nearest"] = Field("bilinear", description="how coarser layers are enlarged")

    config: Config

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches"})


class ConcatLayers(_MergesLayers):
    """Merges layers into patches: all on the grid of one of them, channels one after the other."""

    name = "concat-layers"
    plain = True
    came_later = frozenset({"onto"})

    class Config(_MergesLayers.Config):
        onto: int = Field(
            0, ge=0, description="layer whose grid the patches have, 0 the finest; finer layers are averaged down to it"
        )

    config: Config

    def apply(self, features: Features) -> Features:
        import torch

        layers = features.need_layers(self.title)
        grids = sorted((tuple(layer.shape[1:3]) for layer in layers.values()), reverse=True)
        if self.config.onto >= len(grids):
            raise UsageError(f"{self.title} has onto={self.config.onto}, but there are {len(grids)} layers; name more")
        height, width = grids[self.config.onto]
        fitted = [_fit(layer, height, width, self.config.upsample) for layer in layers.values()]
        return features.having(patches=fitted[0] if len(fitted) == 1 else torch.cat(fitted, dim=-1), layers=None)

    def widths_after(self, widths: Mapping[str, int]) -> Mapping[str, int]:
        return widths


class AverageLayers(_MergesLayers):
    """Merges layers into patches: their mean, all on the finest layer's grid (SubspaceAD, arXiv 2602.23013).

    Layers have to have as many channels, as the blocks of a transformer do.
    """

    name = "average-layers"
    plain = True

    def apply(self, features: Features) -> Features:
        import torch

        layers = features.need_layers(self.title)
        if len({layer.shape[-1] for layer in layers.values()}) > 1:
            known = ", ".join(f"{name} {layer.shape[-1]}" for name, layer in layers.items())
            raise UsageError(
                f"{self.title} averages layers of as many channels, but these differ ({known}); use 'concat-layers',"
                " or name layers of one size"
            )
        return features.having(patches=torch.stack(_on_the_finest(layers, self.config.upsample)).mean(0), layers=None)


def _on_the_finest(layers: dict[str, Tensor], upsample: str) -> list[Tensor]:
    """Layers on the grid of the finest one."""
    height, width = max(tuple(layer.shape[1:3]) for layer in layers.values())
    return [_enlarge(layer, height, width, upsample) for layer in layers.values()]


def _fit(layer: Tensor, height: int, width: int, upsample: str) -> Tensor:
    """A layer on a grid: enlarged to a finer one, averaged down to a coarser one."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    if layer.shape[1] <= height and layer.shape[2] <= width:
        return _enlarge(layer, height, width, upsample)
    if torch.compiler.is_exporting():
        rows, columns = averaging(layer.shape[1], height), averaging(layer.shape[2], width)
        return (rows @ layer.permute(0, 3, 1, 2) @ columns.T).permute(0, 2, 3, 1)
    return adaptive_avg_pool2d(layer.permute(0, 3, 1, 2), (height, width)).permute(0, 2, 3, 1)


def averaging(before: int, after: int) -> Tensor:
    """[after, before] float32: PyTorch's adaptive averaging along one axis as a matrix, for exports.

    ONNX has no operation for it where one size does not divide the other.
    """
    import torch

    cells = [(one * before // after, -(-(one + 1) * before // after)) for one in range(after)]
    return torch.tensor([[(low <= at < high) / (high - low) for at in range(before)] for low, high in cells])


def _enlarge(layer: Tensor, height: int, width: int, upsample: str) -> Tensor:
    from torch.nn.functional import interpolate

    if tuple(layer.shape[1:3]) == (height, width):
        return layer
    # align_corners has no meaning for "nearest", which refuses it
    corners = False if upsample == "bilinear" else None
    enlarged: Tensor = interpolate(layer.permute(0, 3, 1, 2), (height, width), mode=upsample, align_corners=corners)
    return enlarged.permute(0, 2, 3, 1)


class ImageStatistics(Neck):
    """The image vector: mean and standard deviation of each channel of the deepest layer over all places [B, 2 C].

    The mean alone is a network's pooled vector; the deviation tells a few strange places from none. Without layers,
    patches are read.
    """

    name = "image-statistics"
    plain = True

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        return frozenset({"image"})

    def apply(self, features: Features) -> Features:
        import torch

        layers = features.layers or {"patches": features.need_patches(self.title)}
        places = list(layers.values())[-1].flatten(1, 2).float()
        return features.having(image=torch.cat([places.mean(1), places.std(1, correction=0)], dim=1))

    def widths_after(self, widths: Mapping[str, int]) -> Mapping[str, int]:
        return widths


class ImageVector(Neck):
    """The image vector as the only patch, for banks and scorers that judge whole images [B, 1, 1, D]; layers go."""

    name = "image-vector"
    plain = True
    needs: ClassVar[frozenset[str]] = frozenset({"image"})

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches"})

    def apply(self, features: Features) -> Features:
        vector = features.need_image(self.title)
        return features.having(patches=vector[:, None, None, :], layers=None)


class DropLayers(Neck):
    """Without the deepest layers, which then serve the image vector alone (SPADE, https://arxiv.org/abs/2005.02357)."""

    name = "drop-layers"
    plain = True
    needs: ClassVar[frozenset[str]] = frozenset({"layers"})

    class Config(Neck.Config):
        last: int = Field(1, ge=1, description="layers that go, the deepest first; at least one has to stay")

    config: Config

    def apply(self, features: Features) -> Features:
        layers = features.need_layers(self.title)
        if self.config.last >= len(layers):
            raise UsageError(
                f"{self.title} cannot drop {self.config.last} of {len(layers)} layers; name more layers of the backbone"
            )
        return features.having(layers=dict(list(layers.items())[: -self.config.last]))


class PoolChannels(Neck):
    """Fewer channels, each the mean of neighbouring ones (`adaptive_avg_pool1d`, as the official PatchCore)."""

    name = "pool-channels"
    plain = True

    class Config(Neck.Config):
        dim: int = Field(1024, ge=1, description="channels that remain")

    config: Config

    def apply(self, features: Features) -> Features:
        return _on_grids(features, lambda grid: _pool_channels(grid, self.config.dim))

    def widths_after(self, widths: Mapping[str, int]) -> Mapping[str, int] | None:
        """Where the borders of layers are borders of the pooled groups, too; None where a group is of two layers."""
        total = sum(widths.values())
        if total % self.config.dim:
            return None
        group = total // self.config.dim
        if any(width % group for width in widths.values()):
            return None
        return {layer: width // group for layer, width in widths.items()}


def _pool_channels(grid: Tensor, dim: int) -> Tensor:
    import torch
    from torch.nn.functional import adaptive_avg_pool1d

    if torch.compiler.is_exporting():
        return grid @ averaging(grid.shape[3], dim).T
    pooled: Tensor = adaptive_avg_pool1d(grid.flatten(0, 2).unsqueeze(1), dim)
    return pooled.view(*grid.shape[:3], dim)


class L2(Neck):
    """Every patch vector at unit length; a zero vector stays zero."""

    name = "l2"
    plain = True

    def apply(self, features: Features) -> Features:
        from torch.nn.functional import normalize

        return _on_grids(features, lambda grid: normalize(grid, dim=-1))

    def widths_after(self, widths: Mapping[str, int]) -> Mapping[str, int]:
        return widths
