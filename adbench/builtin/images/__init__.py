"""Image and mask files to pixels."""

from adbench.builtin.images.masks import read_mask
from adbench.builtin.images.reading import read_image, read_size

__all__ = ["read_image", "read_mask", "read_size"]
