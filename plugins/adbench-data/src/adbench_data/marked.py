"""Sets whose images are normal or defective by what their masks mark."""

from __future__ import annotations

from pathlib import Path

from adbench.datasets import read_mask, read_size


def marks_anything(image: Path, mask: Path) -> bool:
    """Whether a mask marks at least one pixel of its image.

    Raises:
        BadImage: one of the files cannot be read, or their sizes differ.
    """
    return bool(read_mask(mask, read_size(image), "light").any())
