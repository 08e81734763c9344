"""The towers of a CLIP model, built by open_clip with exactly the requested weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench import UnknownName, UsageError, Weights, WeightsError
from adbench.weights import WeightsSource, below, hub_file, is_head, load_strictly, resolve_weights
from adbench_clip.options import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""OpenAI's normalisation of images, which nearly all later models use."""

HUB_WEIGHTS = "open_clip_model.safetensors"
"""What open_clip looks for first in a repository whose entry names no file."""


@dataclass(frozen=True)
class ModelSource:
    """The source of a model's weights, and the normalisation of its images.

    Attributes:
        weights: the source of the weights.
        mean, std: by which images are normalised.
    """

    weights: WeightsSource
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD


def model_source(config: ModelConfig, who: str) -> ModelSource:
    """The weights that the options name; the hub's copy is downloaded if it is not on this machine.

    Raises:
        UsageError: the tag's weights were trained with another activation than the model's.
        UnknownName: open_clip has no such weights of this model.
        WeightsError: the file is not there, or the hub cannot be reached.
    """
    entry = _pretrained_entry(config, who) if config.weights == "pretrained" else {}
    weights = resolve_weights(config.weights, config.random_seed, lambda: _fetched(entry, config, who))
    return ModelSource(weights, tuple(entry.get("mean", MEAN)), tuple(entry.get("std", STD)))


def _pretrained_entry(config: ModelConfig, who: str) -> Mapping[str, Any]:
    """The entry of open_clip for the pretrained weights; they must belong to the model.

    Raises:
        UsageError, UnknownName: as `model_source`.
    """
    if config.architecture is not None:
        raise UsageError(
            f"{who}: open_clip has no pretrained weights of an architecture from a file; give weights=PATH, or random"
        )
    architecture = config.made_of
    entry = _entry(config.model, config.tag, who)
    if bool(entry.get("quick_gelu", False)) != architecture.quick_gelu:
        other = config.model.removesuffix("-quickgelu") + ("" if architecture.quick_gelu else "-quickgelu")
        raise UsageError(f"{who}: the weights {config.tag!r} were trained with another activation; use model={other}")
    return entry


def _fetched(entry: Mapping[str, Any], config: ModelConfig, who: str) -> tuple[Path, str]:
    """File and name of the pretrained weights.

    Raises:
        WeightsError: they are not on the hub, or it cannot be reached.
    """
    repo, _, file = str(entry.get("hf_hub", "")).rpartition("/")
    if not repo:
        raise WeightsError(
            f"{who}: the weights {config.tag!r} of {config.model} are not on the hub; fetch {entry.get('url')} and give"
            " weights=PATH"
        )
    return hub_file(repo, file or HUB_WEIGHTS), repo


def _entry(model: str, tag: str, who: str) -> Mapping[str, Any]:
    """The entry of open_clip for the weights with this tag."""
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    entry: Mapping[str, Any] = get_pretrained_cfg(model, tag)
    if not entry:
        raise UnknownName("tag", tag, list_pretrained_tags_by_model(model), f"of {model} for {who}")
    return entry


def vision_tower(config: ModelConfig, side: int | None, source: ModelSource, who: str) -> tuple[Any, Weights]:
    """The vision transformer, and the description of its weights for a record.

    Args:
        config: which model.
        side: of the images in pixels, or None for the model's own; position embeddings are interpolated (bicubic with
            antialiasing, as open_clip does it).
        source: where the weights come from.
        who: for messages.

    Raises:
        WeightsError: the weights are those of another model.
    """
    from open_clip.model import CLIP, resize_pos_embed

    with source.weights.seeded():
        model = CLIP(**config.made_of.vision_config(side))
    initial = model.visual.state_dict()
    state = _state(source.weights)
    if state is not None:
        resize_pos_embed(state, model)
        load_strictly(model.visual, below(state, "visual"), f"{who} ({config.made_of.name})", is_head)
    return model.visual, source.weights.provenance(initial)


def require_text(config: ModelConfig, who: str) -> None:
    """Require a text tower that reads text as CLIP does.

    Raises:
        UsageError: the architecture has no text tower, or one that open_clip takes from another library.
    """
    architecture = config.made_of
    if not architecture.has_text:
        raise UsageError(f"{who}: {architecture.name} has no text tower to read prompts; use a CLIP model that has one")
    if architecture.content.get("custom_text") or any(
        key.startswith("hf_") for key in architecture.content["text_cfg"]
    ):
        raise UsageError(
            f"{who}: {architecture.name} reads text in a way of its own; use a model with CLIP's plain text tower"
        )


def text_tower(config: ModelConfig, source: ModelSource, who: str) -> Any:
    """A model that encodes text and nothing else.

    Raises:
        UsageError: as `require_text`.
        WeightsError: the weights have no text tower, or are those of another model.
    """
    require_text(config, who)
    from open_clip.model import CLIP

    with source.weights.seeded():
        model = CLIP(**config.made_of.text_config())
    del model.visual, model.logit_scale, model.logit_bias  # what is left is text
    state = _state(source.weights)
    if state is not None:
        load_strictly(model, _text_weights(state, source, who), f"{who} ({config.made_of.name})")
    return model


def _text_weights(state: dict[str, Tensor], source: ModelSource, who: str) -> dict[str, Tensor]:
    """The weights of the text tower, under the names of a plain CLIP."""
    custom = below(state, "text")
    found = custom or {name: tensor for name, tensor in state.items() if name.startswith(_TEXT)}
    if not found:
        path = source.weights.path
        raise WeightsError(f"{who}: {path} has weights of a vision tower alone; give a file of the whole CLIP model")
    return found


_TEXT = ("text.", "token_embedding.", "transformer.", "text_projection", "ln_final.", "positional_embedding")


def _state(source: WeightsSource) -> dict[str, Tensor] | None:
    """Named tensors of the CLIP model, in full precision, without the prefixes that training leaves; None for random.

    Raises:
        WeightsError: the file is damaged, or holds something else than named tensors.
    """
    state = source.read(lambda part: sum(name.startswith(("visual.", *_TEXT)) for name in part))
    if state is None:
        return None
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
