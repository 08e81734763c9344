"""The bank of prompts whose first words are learned from normal images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from adbench import Context, ContractError, DataError, FeatureStream, Field, Source
from adbench.training import Budget, Training, loss_facts
from adbench_clip.prompt_file import PromptSet
from adbench_clip.prompts import Prompts

if TYPE_CHECKING:
    from torch import Tensor

    from adbench_clip.prompt_learning import ContextPrompts, LearnedWords

PARTS = ("normal", "abnormal", "words", "losses")


class LearnedPrompts(Prompts):
    """Text embeddings of prompts whose first words are learned from normal images (CoOp, PromptAD).

    The vectors of `context` words stand in front of each state of the prompts, in place of its templates (CoOp, arXiv
    2109.01134, Eq. 2): "V1 V2 V3 V4 flawless bottle". Normal and abnormal prompts share them. They are all that
    learns: after a fixed number of steps each normal image is more similar to the mean normal prompt than to each
    abnormal one (PromptAD, arXiv 2404.05231, semantic concatenation). No abnormal image takes part. Its model must be
    the backbone's.
    """

    name = "learned-prompts"
    learns_from: ClassVar[Source] = Source.TRAIN
    needs = frozenset({"image"})

    class Config(Prompts.Config):
        told: bool = Field(
            True, description="call the object by its name, which the protocol has to grant (--allow class-names)"
        )
        context: int = Field(4, ge=1, description="learned words in front of each state")
        temperature: float = Field(0.01, gt=0, description="by which similarities are divided in training")
        steps: int = Field(100, ge=1, description="training steps; the last vectors count")
        batch: int = Field(16, ge=1, description="images a step")
        rate: float = Field(0.002, gt=0, description="learning rate of SGD at the first step")
        decay: float = Field(5e-4, ge=0, description="weight decay of SGD")

    config: Config

    @property
    def prompt_set(self) -> PromptSet:
        """The states that the options name; the learned words take the place of the templates."""
        named = super().prompt_set
        return PromptSet(named.normal, named.abnormal)

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Learn the words from the image vectors of normal images.

        Raises:
            DataError: there is no image.
            ContractError: there are no image vectors, or some are not finite or of another width than the text.
            UsageError: a prompt is longer than the tower reads, or the loss is not finite, with the step.
            WeightsError: the weights are those of another model, or of a vision tower alone.
        """
        import torch

        from adbench_clip.prompt_learning import LearnedWords

        images = self._images(features)
        with torch.inference_mode(mode=False):  # gradients pass through the tower's weights
            prompts = self._prompts(ctx)
            words = LearnedWords(self.config.context, prompts.width, ctx)
            losses = self._train(words, prompts, images.clone(), ctx)
        with torch.no_grad():
            vectors = words.vectors.detach().clone()
            both = prompts.encode(vectors).float()
        normal = len(self._sentences["normal"])
        sides = self._mean(both[:normal]), self._mean(both[normal:])
        self._learned = dict(zip(PARTS, (*sides, vectors.float(), losses), strict=True))

    def _images(self, features: FeatureStream) -> Tensor:
        """[N, D] float32 of unit length: the images' vectors."""
        import torch
        from torch.nn.functional import normalize

        vectors = [part.need_image(self.title).float() for part in features]
        if not vectors:
            raise DataError(f"{self.title}: there is no image to learn from; give at least one normal image")
        together = torch.cat(vectors)
        width = self.config.made_of.content["embed_dim"]
        if together.shape[1] != width or not together.isfinite().all():
            raise ContractError(
                "the backbone", f"image vectors are finite and as wide as the text of {self.title}, {width} channels"
            )
        return normalize(together, dim=1)

    def _prompts(self, ctx: Context) -> ContextPrompts:
        from adbench_clip.loading import text_tower
        from adbench_clip.prompt_learning import ContextPrompts
        from adbench_clip.text import TextEncoder

        tower = text_tower(self.config, self._source, self.title).to(ctx.device).requires_grad_(requires_grad=False)
        sentences = [sentence for side in self._sentences.values() for sentence in side]
        return ContextPrompts(TextEncoder(tower, self.config.made_of, self.title), sentences, self.config.context)

    def _train(self, words: LearnedWords, prompts: ContextPrompts, images: Tensor, ctx: Context) -> Tensor:
        """Train the words; returns the losses [steps]."""
        from adbench_clip.prompt_learning import FallingSgd, PromptLoss

        options = self.config
        loss = PromptLoss(words, prompts, len(self._sentences["normal"]), images.to(ctx.device), options.temperature)
        training = Training(
            words,
            loss,
            len(images),
            Budget(options.steps, options.batch, options.rate, options.decay),
            ctx,
            name=self.name,
            who=self.title,
            optimization=FallingSgd(options.rate, options.decay, options.steps),
        )
        about = {"options": self.identity(), "version": self.version, "sentences": self._sentences}
        return training.run(about, images.cpu())

    def facts(self) -> Mapping[str, float]:
        """The facts of `prompts`, and the mean losses of the first and of the last steps."""
        learned = loss_facts(self._learned["losses"]) if self._learned else {}
        return {**super().facts(), **learned}

    def losses(self) -> Sequence[float]:
        losses: list[float] = self._known("losses").tolist()
        return losses
