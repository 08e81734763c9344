"""The truth of corrupted images: a dataset's labels and masks, moved where a corruption moves the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adbench.api.dataset import Dataset, Sample, Split
from adbench.engine.images.corruption import Corruption

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.curves.regions import Region


class CorruptedDataset(Dataset):
    """A dataset whose images are corrupted. It has the same samples, and is never registered.

    Args:
        source: the dataset itself.
        corruption: what happens to its images.
    """

    name = "corrupted"

    def __init__(self, source: Dataset, corruption: Corruption) -> None:
        super().__init__()
        self.source, self.corruption = source, corruption

    @property
    def title(self) -> str:
        return self.source.title

    def categories(self) -> Sequence[str]:
        return self.source.categories()

    def split(self, category: str) -> Split:
        return self.source.split(category)

    def image(self, sample: Sample) -> np.ndarray:
        from adbench.engine.images.corrupting import corrupted

        return corrupted(self.source.image(sample), self.corruption, self.source.digest(sample))

    def mask(self, sample: Sample) -> np.ndarray | None:
        from adbench.engine.images.corrupting import moved_mask

        mask = self.source.mask(sample)
        return None if mask is None else moved_mask(mask, self.corruption, self.source.digest(sample))

    def ignored(self, sample: Sample) -> np.ndarray | None:
        """The pixels that nobody looks at stay where they are in the picture."""
        return self.source.ignored(sample)

    def regions(self, sample: Sample) -> Sequence[Region] | None:
        regions = self.source.regions(sample)
        return None if regions is None else [new for region in regions for new in self._moved(region, sample)]

    def _moved(self, region: Region, sample: Sample) -> Sequence[Region]:
        """The region where it is now; none if it has left the image."""
        import numpy as np

        from adbench.api.curves.regions import Region
        from adbench.engine.images.corrupting import moved_mask

        mask = np.zeros(region.shape, bool)
        mask.ravel()[region.positions] = True
        new = moved_mask(mask, self.corruption, self.source.digest(sample))
        return [Region.of(new, region.saturation)] if new.any() else []

    def specimen(self, sample: Sample) -> str | None:
        return self.source.specimen(sample)

    def digest(self, sample: Sample) -> str:
        return f"{self.source.digest(sample)}/{self.corruption}"

    def revision(self) -> str:
        return self.source.revision()
