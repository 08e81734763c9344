"""The architecture of a CLIP model, read from open_clip's configurations without importing open_clip or torch."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from adbench import StorageError, UnknownName, UsageError
from adbench.files import read_json


@dataclass(frozen=True)
class Architecture:
    """The architecture of a model in open_clip's form.

    Attributes:
        name: in open_clip, or of the file.
        content: ``embed_dim``, ``vision_cfg``, perhaps ``text_cfg`` and more.
    """

    name: str
    content: Mapping[str, Any]

    @property
    def side(self) -> int:
        """The side in pixels of the square images that the model was trained on."""
        size = self.content["vision_cfg"].get("image_size", 224)
        return int(size if isinstance(size, int) else size[0])

    @property
    def cell(self) -> int:
        """Side of a patch in pixels."""
        return int(self.content["vision_cfg"].get("patch_size", 16))

    @property
    def depth(self) -> int:
        """The number of blocks of the vision transformer."""
        return int(self.content["vision_cfg"].get("layers", 12))

    @property
    def has_text(self) -> bool:
        """Whether the model has a text tower."""
        return "text_cfg" in self.content

    @property
    def quick_gelu(self) -> bool:
        """Whether the activation is QuickGELU, with which OpenAI trained."""
        return bool(self.content.get("quick_gelu", False))

    def vision_config(self, side: int | None) -> dict[str, Any]:
        """open_clip's configuration of the vision tower alone, for images of this side.

        open_clip builds no model without text: the text tower is as small as possible, and is deleted.
        """
        content = self._plain()
        content["text_cfg"] = {"vocab_size": 1, "context_length": 1, "width": 8, "heads": 1, "layers": 1}
        content["vision_cfg"]["image_size"] = side or self.side
        return content

    def text_config(self) -> dict[str, Any]:
        """open_clip's configuration of the text tower, with a small vision tower that is deleted."""
        content = self._plain()
        content["vision_cfg"] = {"image_size": 8, "patch_size": 8, "width": 64, "layers": 1}
        return content

    def _plain(self) -> dict[str, Any]:
        return {key: value for key, value in deepcopy(dict(self.content)).items() if key != "custom_text"}


def architecture_of(model: str, file: Path | None) -> Architecture:
    """The architecture of this name in open_clip, or in a JSON file of the same form.

    Only vision transformers with a class token will do: windows and patches are theirs.

    Raises:
        UnknownName: open_clip has no such model.
        UsageError: the file cannot be read or is no configuration, or it is another kind of model.
    """
    found = _read(file) if file else _known(model)
    vision = found.content["vision_cfg"]
    pooled = vision.get("attentional_pool", False) or vision.get("pool_type", "tok") != "tok"
    if "timm_model_name" in vision or not isinstance(vision.get("layers", 12), int) or pooled:
        raise UsageError(
            f"backbone 'clip': {found.name} is no vision transformer of open_clip's own with a class token; use one, "
            "such as ViT-B-16-plus-240"
        )
    return found


def _folder() -> Path:
    spec = find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("backbone 'clip' needs open_clip; pip install open_clip_torch")
    return Path(spec.submodule_search_locations[0]) / "model_configs"


@lru_cache(maxsize=32)
def _known(model: str) -> Architecture:
    files = {path.stem: path for path in _folder().glob("*.json")}
    if model not in files:
        raise UnknownName("model", model, files, "of open_clip")
    return _read(files[model])


def _read(file: Path) -> Architecture:
    try:
        content = read_json(file, "an architecture")
    except StorageError as error:
        raise UsageError(f"{file}: the architecture cannot be read ({error}); give a JSON file") from None
    if not (isinstance(content, dict) and isinstance(content.get("vision_cfg"), dict) and "embed_dim" in content):
        raise UsageError(f"{file}: this is no architecture of open_clip; it needs 'embed_dim' and 'vision_cfg'")
    return Architecture(file.stem, content)
