"""The cache of masks on disk, so that the network computes each mask once."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.files import atomic_write

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MaskCache:
    """A folder of masks by image content, all computed with the same settings.

    A file is a PNG of one bit a pixel, a kilobyte or two. Any may be deleted at any time; a damaged one counts as
    not there. Files appear whole or not at all, and where the folder cannot be written, nothing is stored.

    Attributes:
        folder: it is made when the first mask is stored.
    """

    folder: Path

    @classmethod
    def of(cls, root: Path, about: Mapping[str, Any]) -> MaskCache:
        """The folder below `root` for the settings that decide a mask; they are JSON-compatible."""
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        return cls(root / "masks" / digest[:32])

    def get(self, image: Tensor) -> Tensor | None:
        """The mask [H, W] bool of the image [3, H, W] uint8, or None."""
        import numpy as np
        import torch
        from PIL import Image

        try:
            with Image.open(self._file(image)) as picture:
                mask = np.array(picture.convert("1"), dtype=bool)
        except (OSError, SyntaxError, ValueError):  # Pillow raises any of them for a damaged PNG
            return None
        return torch.from_numpy(mask) if mask.shape == tuple(image.shape[1:]) else None

    def put(self, image: Tensor, mask: Tensor) -> None:
        """Store the mask [H, W] bool of the image [3, H, W] uint8."""
        from PIL import Image

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            picture = io.BytesIO()
            Image.fromarray(mask.numpy()).save(picture, "PNG")
            atomic_write(self._file(image), picture.getvalue(), mode=0o600)
        except OSError:  # a full or read-only disk costs time in the next run, and nothing in this one
            return

    def _file(self, image: Tensor) -> Path:
        shape = "x".join(map(str, image.shape))
        digest = hashlib.sha256(shape.encode() + image.cpu().contiguous().numpy().tobytes()).hexdigest()
        return self.folder / f"{digest}.png"
