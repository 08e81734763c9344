"""The bank of prompts: it describes normal and abnormal objects in words alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from adbench import Context, FeatureStream, Field, PrototypeBank, Source, UsageError
from adbench.files import LocalFile
from adbench_clip.options import ModelConfig
from adbench_clip.prompt_file import FOLDER, PromptSet, read_prompts

if TYPE_CHECKING:
    from torch import Tensor

    from adbench_clip.loading import ModelSource


class Prompts(PrototypeBank):
    """Text embeddings of a normal and of an abnormal object: the mean of many prompts each (WinCLIP, arXiv 2303.14814).

    It learns from nothing. Its model must be the backbone's. At most it knows the object's name, and only with the
    option `told`, which a protocol may refuse.
    """

    name = "prompts"
    plain = True
    learns_from: ClassVar[Source] = Source.NOTHING

    class Config(ModelConfig):
        prompts: Literal["winclip", "winclip-anomalib", "april-gan"] | LocalFile = Field(
            "winclip", description="a set that comes with the package, or a YAML file of states and templates"
        )
        word: str = Field("object", min_length=1, description="what prompts call the object")
        told: bool = Field(
            False, description="call it by its name instead, which the protocol has to grant (--allow class-names)"
        )
        spelling: Literal["words", "raw"] = Field(
            "words", description="of that name: metal nut, or metal_nut as anomalib and APRIL-GAN write it"
        )
        mean_of: Literal["raw", "unit"] = Field(
            "raw",
            description="what is averaged: embeddings as they are (anomalib), or of unit length (CLIP, APRIL-GAN)",
        )

        @field_validator("prompts")
        @classmethod
        def _there(cls, value: str | Path) -> str | Path:
            """The prompt file; an unknown word counts as a misspelt set."""
            if isinstance(value, Path) and not value.suffix and not value.exists():
                sets = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
                raise ValueError(f"neither a set of prompts ({sets}) nor a file")
            return value

    config: Config
    _sentences: dict[str, list[str]]
    _source: ModelSource
    _learned: dict[str, Tensor]

    def __init__(self, /, **options: Any) -> None:
        super().__init__(**options)
        self._learned, self._sentences = {}, {}
        if self.config.told:  # an object's own: whoever is content with a word does not need the name
            self.needs = self.needs | {"class_name"}  # type: ignore[misc]

    @property
    def prompt_set(self) -> PromptSet:
        """The states and templates that the options name."""
        named = self.config.prompts
        return read_prompts(FOLDER / f"{named}.yaml" if isinstance(named, str) else named)

    def prepare(self, ctx: Context) -> None:
        """Read the prompts and find the weights; the weights are loaded when they are needed.

        Raises:
            UsageError: the prompts are malformed, the model has no text tower, or the name was not told.
            WeightsError: weights cannot be had.
        """
        prompts, word = self.prompt_set, self._word(ctx)
        self._sentences = {
            "normal": prompts.sentences(prompts.normal, word),
            "abnormal": prompts.sentences(prompts.abnormal, word),
        }
        from adbench_clip.loading import model_source, require_text

        require_text(self.config, self.title)
        self._source = model_source(self.config, self.title)

    def prototypes(self, ctx: Context) -> dict[str, Tensor]:
        """The text embeddings of the prompts: ``normal`` [1, D] and ``abnormal`` [1, D].

        The tower is given up afterwards.

        Raises:
            UsageError: a prompt is longer than the tower reads.
            WeightsError: the weights are those of another model, or of a vision tower alone.
        """
        from adbench_clip.loading import text_tower
        from adbench_clip.text import TextEncoder

        tower = text_tower(self.config, self._source, self.title)
        encoder = TextEncoder(tower.to(ctx.device), self.config.made_of, self.title)
        return {side: self._mean(encoder.encode(sentences)) for side, sentences in self._sentences.items()}

    def _word(self, ctx: Context) -> str:
        if not self.config.told:
            return self.config.word
        if ctx.class_name is None:
            raise UsageError(
                f"{self.title}: told=true needs the object's name, and the protocol does not give it; allow it "
                "(--allow class-names), or write told=false"
            )
        name = ctx.class_name
        return " ".join(name.replace("_", " ").replace("-", " ").split()) if self.config.spelling == "words" else name

    def _mean(self, embeddings: Tensor) -> Tensor:
        """[1, D]: the mean of [N, D]."""
        from torch.nn.functional import normalize

        return (embeddings if self.config.mean_of == "raw" else normalize(embeddings, dim=1)).mean(0, keepdim=True)

    def fit(self, features: FeatureStream, ctx: Context) -> None:  # noqa: ARG002 - it learns from nothing
        self._learned = self.prototypes(ctx)

    @property
    def normal(self) -> Tensor:
        return self._known("normal")

    @property
    def abnormal(self) -> Tensor:
        return self._known("abnormal")

    def _known(self, name: str) -> Tensor:
        if name not in self._learned:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned[name]

    def state(self) -> dict[str, Tensor]:
        return dict(self._learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        self._learned = dict(state)

    def facts(self) -> Mapping[str, float]:
        """The numbers of prompts, and whether untrained weights read them."""
        counts = {f"{side}_prompts": float(len(sentences)) for side, sentences in self._sentences.items()}
        return {**counts, "random_text_weights": float(self.config.weights == "random")}
