"""EfficientAD: a student and an autoencoder learn the answers of a frozen patch description network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError, WeightsError
from adbench_anomalib.models.adapter import Adapter, Answer, Setting

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Examples, Layout, Shown

CHANNELS = 384
"""Of the teacher's answers."""

ZIP = "https://github.com/open-edge-platform/anomalib/releases/download/efficientad_pretrained_weights/efficientad_pretrained_weights.zip"

QUANTILES = (0.9, 0.995)
"""Of the maps of held-out images, which become 0 and 0.1."""

MOST = 1 << 24
"""Values among which torch finds a quantile."""

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


class EfficientAdAdapter(Adapter):
    """anomalib's EfficientAD (arXiv 2303.14535). Its teacher reads changed images, so that it is part of the model.

    A tenth of the normal images is held out; both maps are scaled by quantiles of theirs, as the paper does without
    validation images.
    """

    rate: ClassVar[float] = 1e-4
    usual: ClassVar[str] = "small"
    architectures: ClassVar[tuple[str, ...] | None] = ("small", "medium")
    least: ClassVar[int] = 256
    held_out: ClassVar[float] = 0.1
    wants_auxiliary: ClassVar[str] = "natural images such as ImageNette's"
    own: ClassVar[bool] = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._natural: list[Path] = []

    @classmethod
    def pretrained(cls, architecture: str) -> tuple[Path, str]:
        raise WeightsError(
            f"EfficientAD's teacher is not downloaded by itself; unpack {ZIP} and give"
            f" weights=PATH of pretrained_teacher_{architecture}.pth"
        )

    def network(self, layout: Layout) -> Any:  # noqa: ARG002  it is convolutional
        from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel, EfficientAdModelSize

        from adbench.weights import load_strictly

        source = self.setting.weights
        assert source is not None
        with source.seeded():
            network = EfficientAdModel(CHANNELS, EfficientAdModelSize(self.architecture), padding=False, pad_maps=True)
        own = network.teacher.state_dict()
        state = source.read(lambda part: len(own.keys() & part.keys()))
        if state is not None:
            load_strictly(network.teacher, state, self.setting.who)
        _redraw(network.student)
        _redraw(network.ae)
        for frozen in (network.teacher, network.mean_std, network.quantiles):
            frozen.requires_grad_(requires_grad=False)
        return network

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        names = ("student", "ae", "mean_std", "quantiles")
        return nn.ModuleDict({name: getattr(network, name) for name in names})

    def brought(self, network: Any) -> nn.Module:
        teacher: nn.Module = network.teacher
        return teacher

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.Adam(parameters, lr=rate, weight_decay=1e-5)

    def factor(self, done: float) -> float:
        return 1.0 if done < 0.95 else 0.1

    def begin(self, network: Any, examples: Examples, chosen: Sequence[int], device: str) -> None:
        """The mean and spread of the teacher's channels, in double precision."""
        import torch

        self._natural = _images_of(self.setting)
        sums = squares = torch.zeros(CHANNELS, dtype=torch.float64, device=device)
        count = 0
        with torch.no_grad():
            for part in examples.parts(chosen):
                found = network.teacher(part.to(device).need_images).double()
                sums, squares = sums + found.sum((0, 2, 3)), squares + found.square().sum((0, 2, 3))
                count += found[:, 0].numel()
        mean = sums / count
        spread = (squares / count - mean**2).clamp(min=1e-12).sqrt()
        network.mean_std["mean"].data.copy_(mean.view(1, -1, 1, 1))
        network.mean_std["std"].data.copy_(spread.view(1, -1, 1, 1))

    def finish(self, network: Any, examples: Examples, chosen: Sequence[int], device: str) -> None:
        """The quantiles of both maps over the images that were held out."""
        import torch

        with torch.no_grad():
            pairs = [network.get_maps(part.to(device).need_images, normalize=False) for part in examples.parts(chosen)]
        for name, maps in zip(("st", "ae"), zip(*pairs, strict=True), strict=True):
            values = torch.cat([each.flatten() for each in maps])
            values = values[:: max(1, -(-len(values) // MOST))]
            for end, share in zip("ab", QUANTILES, strict=True):
                network.quantiles[f"q{end}_{name}"].data.copy_(torch.quantile(values, share))

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        images = shown.need_images
        losses: tuple[Tensor, ...] = network(batch=images, batch_imagenet=self._penalty(images))
        return losses[0] + losses[1] + losses[2]

    def answer(self, network: Any, shown: Shown) -> Answer:
        found = network(shown.need_images)
        return Answer(found.anomaly_map[:, 0], found.pred_score.flatten())

    def _penalty(self, images: Tensor) -> Tensor:
        """As many natural images as a batch has, prepared as anomalib's: twice as large, some grey, cut."""
        import torch

        chosen = torch.randint(len(self._natural), (len(images),)).tolist()
        prepare = _natural_preparation((images.shape[2], images.shape[3]))
        return torch.stack([prepare(_picture(self._natural[index])) for index in chosen]).to(images.device)


def _redraw(part: nn.Module) -> None:
    """Draw initial weights anew from the global generator, which the bank has seeded; the teacher's seed is another."""
    from torch import nn

    for each in part.modules():
        if isinstance(each, nn.Conv2d):
            each.reset_parameters()


def _images_of(setting: Setting) -> list[Path]:
    assert setting.auxiliary is not None
    found = sorted(path for path in setting.auxiliary.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(
            f"{setting.who}: there is no image in {setting.auxiliary}; give auxiliary=FOLDER of natural images"
        )
    return found


def _natural_preparation(size: tuple[int, int]) -> Callable[[Any], Tensor]:
    import torch
    from torchvision.transforms.v2 import (
        CenterCrop,
        Compose,
        RandomGrayscale,
        Resize,
        ToDtype,
        ToImage,
    )

    height, width = size
    steps = [Resize((2 * height, 2 * width)), RandomGrayscale(p=0.3), CenterCrop(size), ToImage()]
    prepare: Callable[[Any], Tensor] = Compose([*steps, ToDtype(torch.float32, scale=True)])
    return prepare


def _picture(path: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path}: this natural image cannot be read ({error}); remove it") from None
