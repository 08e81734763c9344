"""The masks that Segment Anything proposes for an image, over a grid of points or at its centre.

The automatic way is that of ``SamAutomaticMaskGenerator`` (https://github.com/facebookresearch/segment-anything; the
paper's appendix B) without crops of the image and without the repair of small regions, which are off there by default.
Masks are held as one bit a pixel, and are enlarged to the image a few at a time: those that the predicted IoU rules out
never are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from adbench_sam.frame import Frame

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench_sam.network import Network

Bits: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

BLOCK = 1 << 24
"""Logits of masks that are enlarged at a time: 64 MB, several times over while they are."""


@dataclass(frozen=True)
class GeneratorOptions:
    """The thresholds of `prompt=automatic`; names and defaults are those of the reference.

    Attributes:
        points_per_side: points of the grid along each side of the image.
        points_per_batch: points that the network is asked at a time.
        pred_iou_thresh: a mask's predicted IoU has to be above it; 0 for any.
        stability_score_thresh: a mask's stability has to be so high; 0 for any.
        stability_score_offset: how far the cutoff of the logits is moved up and down to measure the stability.
        box_nms_thresh: of two masks whose boxes' IoU is above it, that of the higher predicted IoU stays.
    """

    points_per_side: int = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7


@dataclass(frozen=True)
class Proposals:
    """N masks of one image.

    Attributes:
        bits: [N, ceil(H * W / 8)] uint8, the pixels of each mask row by row, one bit each (`numpy.packbits`).
        boxes: [N, 4] float32: left, top, right, bottom, of the outermost pixels themselves; zeros for an empty mask.
        ious: [N] float32, the network's own prediction of each mask's IoU with the object.
        stability: [N] float32, from 0 to 1; NaN for a mask that is empty at the lower cutoff too.
        areas: [N] int64, pixels.
        border: [N] float32, share of the pixels along the image's border that the mask holds.
    """

    bits: Bits
    boxes: Tensor
    ious: Tensor
    stability: Tensor
    areas: Tensor
    border: Tensor

    def __len__(self) -> int:
        return len(self.bits)

    def picked(self, which: Tensor) -> Proposals:
        """The proposals at the indices [M], in their order."""
        tensors = {field.name: getattr(self, field.name)[which] for field in fields(self) if field.name != "bits"}
        return Proposals(self.bits[which.numpy()], **tensors)


def grid(per_side: int) -> Tensor:
    """Grid points [per_side², 2] float64: x, y from 0 to 1, the centres of equal cells, row by row."""
    import numpy as np
    import torch

    middles = torch.from_numpy(np.linspace(1 / (2 * per_side), 1 - 1 / (2 * per_side), per_side))
    down, across = torch.meshgrid(middles, middles, indexing="ij")
    return torch.stack([across.flatten(), down.flatten()], dim=1)


def grid_proposals(network: Network, image: Tensor, options: GeneratorOptions, device: str = "cpu") -> Proposals:
    """Masks over the whole image, without duplicates, by descending predicted IoU.

    Args:
        network: on the device.
        image: [3, H, W] uint8, RGB.
        options: which masks stay.
        device: where it computes.
    """
    frame, embedding = _embedded(network, image, device)
    points = frame.points(grid(options.points_per_side) * _size(frame))
    parts: list[Proposals] = []
    for start in range(0, len(points), options.points_per_batch):
        logits, ious = network.decode(embedding, points[start : start + options.points_per_batch].to(device))
        confident = ious.flatten() > (options.pred_iou_thresh if options.pred_iou_thresh > 0 else float("-inf"))
        found = _measured(frame, logits.flatten(0, 1)[confident], ious.flatten()[confident], options)
        if options.stability_score_thresh > 0:
            found = found.picked((found.stability >= options.stability_score_thresh).nonzero()[:, 0])
        parts.append(found)
    return without_duplicates(joined(parts), options.box_nms_thresh)


def centre_proposals(network: Network, image: Tensor, device: str = "cpu") -> Proposals:
    """The three masks for a point at the image's centre, as they come: the whole, a part, and a part of that.

    The arguments are those of `grid_proposals`; this is ``SamPredictor.predict`` with ``multimask_output``.
    """
    frame, embedding = _embedded(network, image, device)
    points = frame.points(_size(frame)[None] / 2)
    logits, ious = network.decode(embedding, points.float().to(device))
    return _measured(frame, logits[0], ious[0], GeneratorOptions())


def _embedded(network: Network, image: Tensor, device: str) -> tuple[Frame, Tensor]:
    frame = Frame(int(image.shape[1]), int(image.shape[2]), network.side)
    return frame, network.embed(frame.pixels(image).to(device))


def _size(frame: Frame) -> Tensor:
    """The size as width and height, the order of x and y."""
    import torch

    return torch.tensor([frame.width, frame.height], dtype=torch.float64)


def _measured(frame: Frame, logits: Tensor, ious: Tensor, options: GeneratorOptions) -> Proposals:
    """Proposals of the logits [N, h, w], enlarged a few at a time; everything that is kept is on the CPU."""
    at_once = max(1, BLOCK // max(frame.side**2, frame.height * frame.width))
    blocks = [slice(start, start + at_once) for start in range(0, len(logits), at_once)]
    found = [_proposed(frame.logits(logits[few]), ious[few], options.stability_score_offset) for few in blocks]
    return joined(found) if found else _proposed(logits.new_zeros(0, frame.height, frame.width), ious, 0)


def _proposed(logits: Tensor, ious: Tensor, offset: float) -> Proposals:
    """Proposals of logits [N, H, W] on the image; a pixel belongs to the mask where its logit is above 0."""
    import numpy as np

    masks = logits > 0
    return Proposals(
        bits=np.packbits(masks.flatten(1).cpu().numpy(), axis=1),
        boxes=boxes(masks).cpu(),
        ious=ious.float().cpu(),
        stability=stability(logits, offset).cpu(),
        areas=masks.flatten(1).sum(1).cpu(),
        border=border_share(masks).cpu(),
    )


def stability(logits: Tensor, offset: float) -> Tensor:
    """The stability [N]: IoU of each mask [H, W] cut at `offset` and at -`offset`; the first lies within the second."""
    return (logits > offset).flatten(1).sum(1) / (logits > -offset).flatten(1).sum(1)


def boxes(masks: Tensor) -> Tensor:
    """The boxes [N, 4] float32 of masks [N, H, W]: left, top, right and bottom pixels; zeros for an empty mask."""
    import torch

    ends = [end for axis in (1, 2) for end in _ends(masks.any(dim=axis))]  # of the columns, then of the rows
    left, right, top, bottom = ends
    return torch.stack([left, top, right, bottom], dim=1).float()


def _ends(marked: Tensor) -> tuple[Tensor, Tensor]:
    """The first and last true place in each row of [N, L] bool; 0 and 0 if there is none."""
    counted = marked.long()
    length = marked.shape[1]
    last = (length - 1 - counted.flip(1).argmax(1)) * counted.amax(1)
    return counted.argmax(1), last


def border_share(masks: Tensor) -> Tensor:
    """The share [N] float32 of the image's border pixels in each mask [N, H, W]."""
    import torch

    sides = [masks[:, 0], masks[:, -1], masks[:, 1:-1, 0], masks[:, 1:-1, -1]]
    return torch.cat(sides, dim=1).float().mean(1)


def joined(parts: Sequence[Proposals]) -> Proposals:
    """All proposals of one image, in order."""
    import numpy as np
    import torch

    tensors = {f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Proposals)[1:]}
    return Proposals(np.concatenate([part.bits for part in parts]), **tensors)


def without_duplicates(proposals: Proposals, threshold: float) -> Proposals:
    """By descending predicted IoU, those whose box overlaps none before by an IoU above the threshold."""
    from torchvision.ops import nms

    return proposals.picked(nms(proposals.boxes, proposals.ious, threshold))


def unpacked(proposals: Proposals, height: int, width: int) -> Iterator[Tensor]:
    """The masks, each [H, W] bool."""
    import numpy as np
    import torch

    for row in proposals.bits:
        yield torch.from_numpy(np.unpackbits(row, count=height * width).reshape(height, width).astype(bool))
