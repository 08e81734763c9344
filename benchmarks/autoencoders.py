r"""Steps of training an autoencoder on pixels: beside a plain PyTorch loop, and what structural similarity adds.

    python benchmarks/autoencoders.py ../shared/data/mvtec-mini/hazelnut/train/good

Steps of 16 images of 128 x 128 pixels by the network of `ae-l2` (Bergmann et al., arXiv 1807.02011), in milliseconds of
the processor, so that other programs disturb them less. The sides take turns, and the median of the rounds is shown.

- "plain, files": a PyTorch loop as tutorials have it: a dataset that decodes, resizes and standardises an image each
  time that it is drawn, a DataLoader, float32, Adam, the loss printed every step.
- "plain, in memory": the same with all images in memory.
- "convolutions alone": the forward and backward passes of the network's layers, each from a fixed input: what no loop
  in float32 can save without changing the network.
- The others are `Training` with the losses of the recipes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from adbench_reconstruction.loss import Objective, ReconstructionLoss
from adbench_reconstruction.networks import Convolutional, start
from adbench_reconstruction.pool import Pool
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from adbench import Context
from adbench.training import Budget, Training

SIDE, BATCH, LATENT = 128, 16, 100
RATE, DECAY = 2e-4, 1e-5
CHANNELS_LAST = torch.channels_last

Work = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder of images")
    parser.add_argument("--limit", type=int, default=64, help="images to learn from")
    parser.add_argument("--steps", type=int, default=4, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    files = [one for one in sorted(arguments.images.iterdir()) if one.suffix.lower() in {".jpg", ".png"}]
    files = files[: arguments.limit]
    sides = dict(all_sides(files, arguments.steps))
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(arguments.rounds + 1):
        for name, work in sides.items():
            began = time.process_time()
            work()
            if round_number:  # the first warms up
                times[name].append(1000 * (time.process_time() - began) / arguments.steps)
    show({name: median(found) for name, found in times.items()})


def all_sides(files: list[Path], steps: int) -> Iterator[tuple[str, Work]]:
    pool = Pool.of(torch.stack([opened(file) for file in files]))
    yield "plain, files", plain(Files(files, pool), steps)
    yield "plain, in memory", plain(list((pool.examples - pool.mean.view(3, 1, 1)) / pool.std.view(3, 1, 1)), steps)
    yield "convolutions alone", convolutions(steps)
    yield "ae-l2", trained(pool, steps)
    yield "ae-l2, bfloat16", trained(pool, steps, precision="bfloat16")
    yield "ae-ssim", trained(pool, steps, loss="ssim")
    yield "ae-ssim, bfloat16", trained(pool, steps, loss="ssim", precision="bfloat16")
    yield "skip-ae-mse", trained(pool, steps, skip=True)
    yield "skip-ae-ssim", trained(pool, steps, loss="ssim", skip=True)


def opened(file: Path) -> torch.Tensor:
    """An image [3, SIDE, SIDE] from 0 to 1."""
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels.transpose(2, 0, 1) / np.float32(255))


class Files(Dataset[torch.Tensor]):
    """Standardised images that are decoded when they are drawn."""

    def __init__(self, files: list[Path], pool: Pool) -> None:
        self.files, self.mean, self.std = files, pool.mean.view(3, 1, 1), pool.std.view(3, 1, 1)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return (opened(self.files[index]) - self.mean) / self.std


def network(*, skip: bool = False) -> Convolutional:
    with torch.device("meta"):
        made = Convolutional(3, (SIDE, SIDE), LATENT, skip=skip, variational=False)
    start(made, torch.Generator().manual_seed(0))
    return made


def plain(images: Any, steps: int) -> Work:
    learner = network()
    optimizer = torch.optim.Adam(learner.parameters(), lr=RATE, weight_decay=DECAY)

    def work() -> list[str]:
        shown: list[str] = []
        while True:
            for batch in DataLoader(images, BATCH, shuffle=True):
                loss = torch.nn.functional.mse_loss(learner(batch).reconstruction, batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                shown.append(f"loss {loss.item():.4f}")
                if len(shown) == steps:
                    return shown

    return work


def trained(pool: Pool, steps: int, loss: Any = "l2", precision: Any = "float32", *, skip: bool = False) -> Work:
    def work() -> torch.Tensor:
        learner = network(skip=skip).to(memory_format=CHANNELS_LAST)
        objective = ReconstructionLoss(learner, pool, Objective(loss, 1.0, "none", precision))
        budget = Budget(steps, BATCH, RATE, DECAY)
        return Training(learner, objective, len(pool.examples), budget, Context(), name="bench", who="bench").run({})

    return work


def convolutions(steps: int) -> Work:
    learner, passes = network().to(memory_format=CHANNELS_LAST), []

    def watch(layer: torch.nn.Module, given: tuple[torch.Tensor, ...], answer: torch.Tensor) -> None:
        first = layer is learner.encoder[0]
        passes.append((layer, given[0].detach().requires_grad_(not first), torch.ones_like(answer).contiguous()))

    layers = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    hooks = [one.register_forward_hook(watch) for one in learner.modules() if isinstance(one, layers)]
    learner(torch.rand(BATCH, 3, SIDE, SIDE).to(memory_format=CHANNELS_LAST))
    for hook in hooks:
        hook.remove()

    def work() -> None:
        for _ in range(steps):
            for layer, given, outer in passes:
                wanted = [*layer.parameters(), *([given] if given.requires_grad else [])]
                torch.autograd.grad(layer(given), wanted, outer.to(memory_format=CHANNELS_LAST))

    return work


def show(found: dict[str, float]) -> None:
    """The table, with images a second of the processor beside those of the plain loops and of squared errors."""
    sys.stdout.write("| side | ms a step | images/s | to plain, files | to plain, in memory | step to ae-l2's |\n")
    sys.stdout.write("|---|---:|---:|---:|---:|---:|\n")
    for name, spent in found.items():
        files, memory = (found[f"plain, {kind}"] / spent for kind in ("files", "in memory"))
        share = spent / found["ae-l2"]
        cells = f"{spent:.0f} | {1000 * BATCH / spent:.0f} | {files:.2f}x | {memory:.2f}x | {share:.2f}"
        sys.stdout.write(f"| {name} | {cells} |\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
