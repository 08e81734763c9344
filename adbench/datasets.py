"""Tools for datasets of files: `from adbench.datasets import PublishedDataset, DataSource`.

- `FileDataset`: a dataset whose images and masks are files; a subclass finds them.
- `PublishedDataset`: one that has a publisher and a licence, and is looked for where people keep it.
- `DataSource`, `Archive`: where a published dataset comes from; an archive can be downloaded, and has a sha256.
- `IgnoreMask`, `read_ignore_mask`: pixels of a category that nobody looks at, and the file that marks them.
- `ignored_in`, `is_own_mask`: the same for one image, with what a mask beside it adds.
- `read_image`, `read_mask`, `read_size`: read the file of an image or of a mask by adbench's rules.
- `SUFFIXES`, `MASK_SUFFIXES`: the suffixes of files that these read, in lower case.
- `OTHER_SUFFIXES`: those of pictures that they do not read.
"""

from adbench.builtin.folders.archive import Archive, DataSource
from adbench.builtin.folders.file_dataset import FileDataset
from adbench.builtin.folders.published import PublishedDataset
from adbench.builtin.images.ignoring import IgnoreMask, ignored_in, is_own_mask, read_ignore_mask
from adbench.builtin.images.reading import MASK_SUFFIXES, OTHER_SUFFIXES, SUFFIXES, read_image, read_mask, read_size

__all__ = [
    "MASK_SUFFIXES",
    "OTHER_SUFFIXES",
    "SUFFIXES",
    "Archive",
    "DataSource",
    "FileDataset",
    "IgnoreMask",
    "PublishedDataset",
    "ignored_in",
    "is_own_mask",
    "read_ignore_mask",
    "read_image",
    "read_mask",
    "read_size",
]
