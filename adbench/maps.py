"""Anomaly maps on the prepared image, for image scores that are read from them: `from adbench.maps import Smoothing`.

- `prepared_maps`: patch scores enlarged to the prepared image and smoothed, as PaDiM and SubspaceAD score images.
- `Smoothing`, `Border`: the Gaussian.

An aggregator reads the recipe's own map instead, by `ImageScores.need_map`. Importing this module imports no torch.
"""

from adbench.api.maps.enlarging import Border, Smoothing, prepared_maps

__all__ = ["Border", "Smoothing", "prepared_maps"]
