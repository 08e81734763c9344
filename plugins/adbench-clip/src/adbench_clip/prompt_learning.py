"""Learned vectors in place of the first words of prompts, and their training on normal images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from adbench.training import Optimization
from adbench_clip.text import EmbeddedText, TextEncoder

if TYPE_CHECKING:
    from adbench import Context

SPREAD = 0.02
"""The standard deviation of the vectors at the start (CoOp, arXiv 2109.01134, section 4.1)."""

MOMENTUM = 0.9
"""Of the optimiser (PromptAD's code)."""

PLACEHOLDER = "X"
"""A word of one token, for which a learned vector stands in."""


class LearnedWords(nn.Module):
    """The learned vectors [K, W], which all prompts share.

    Args:
        count: of vectors.
        width: of a word's vector.
        ctx: of the unit; its seed decides the start.
    """

    def __init__(self, count: int, width: int, ctx: Context) -> None:
        super().__init__()
        start = torch.randn(count, width, generator=ctx.generator("learned-prompts/start"))
        self.vectors = nn.Parameter(SPREAD * start.to(ctx.device))


class ContextPrompts:
    """Sentences whose first words are learned vectors (CoOp, arXiv 2109.01134, Eq. 2).

    Args:
        encoder: its tower's weights stay as they are.
        sentences: what follows the learned vectors.
        count: of learned vectors.

    Raises:
        UsageError: a sentence with its learned vectors is longer than the tower reads.
    """

    def __init__(self, encoder: TextEncoder, sentences: Sequence[str], count: int) -> None:
        self._encoder, self._count = encoder, count
        blanks = " ".join([PLACEHOLDER] * count)
        with torch.no_grad():
            self._text = encoder.embedded([f"{blanks} {sentence}" for sentence in sentences])

    @property
    def width(self) -> int:
        """The width of a word's vector."""
        return self._text.words.shape[-1]

    def encode(self, vectors: Tensor) -> Tensor:
        """The embeddings [N, D] of the sentences behind these vectors [K, W]; gradients reach the vectors."""
        words, ends = self._text
        ours = vectors[None].expand(len(words), -1, -1)
        return self._encoder.read(EmbeddedText(torch.cat([words[:, :1], ours, words[:, 1 + self._count :]], 1), ends))


class PromptLoss:
    """The contrast of normal images with both sides' prompts (PromptAD, arXiv 2404.05231).

    Cross entropy: a normal image is to be more similar to the mean of the normal prompts than to each abnormal one.

    Args:
        words: what is trained.
        prompts: normal ones first.
        normal: how many are normal.
        images: [N, D] unit vectors of normal images.
        temperature: by which similarities are divided.
    """

    def __init__(
        self, words: LearnedWords, prompts: ContextPrompts, normal: int, images: Tensor, temperature: float
    ) -> None:
        self._words, self._prompts, self._normal = words, prompts, normal
        self._images, self._temperature = images, temperature

    def __call__(self, indices: Tensor, _noise: torch.Generator) -> Tensor:
        text = normalize(self._prompts.encode(self._words.vectors), dim=1)
        middle = normalize(text[: self._normal].mean(0, keepdim=True), dim=1)
        images = self._images[indices.to(self._images.device)]
        logits = images @ torch.cat([middle, text[self._normal :]]).T / self._temperature
        return cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


class FallingSgd(Optimization):
    """SGD with momentum, at a rate that falls to zero along half a cosine (CoOp, section 4.1).

    Args:
        rate: of the first step.
        decay: weight decay.
        steps: in all.
    """

    def __init__(self, rate: float, decay: float, steps: int) -> None:
        self._rate, self._decay, self._steps = rate, decay, steps

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        self._made = torch.optim.SGD(parameters, lr=self._rate, momentum=MOMENTUM, weight_decay=self._decay)
        return self._made

    def before_step(self, step: int) -> None:
        self._made.param_groups[0]["lr"] = self._rate * (1 + math.cos(math.pi * step / self._steps)) / 2
