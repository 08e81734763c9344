"""The checks of patches that a bank is about to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from adbench.errors import ContractError, DataError

if TYPE_CHECKING:
    from adbench.api.features import Features, FeatureStream

_AT_FAULT = "the backbone or a neck"


def checked_batches(features: FeatureStream, who: str) -> Iterator[Features]:
    """The batches of a stream, each with finite patches of as many channels as the ones before.

    Args:
        features: what the bank learns from.
        who: the bank's title, as messages write it.

    Raises:
        DataError: the stream is empty.
        ContractError: there are no patches, their channels change, or some are not finite; the image is named.
    """
    channels = None
    for batch in features:
        width = batch.need_patches(who).shape[-1]
        require_finite(batch, who)
        channels = channels or width
        if channels != width:
            raise ContractError(
                _AT_FAULT, f"all patches must have as many channels, but {who} got {channels} and then {width}"
            )
        yield batch
    if channels is None:
        raise DataError(f"{who} cannot learn from nothing: there is no image to learn from; add normal training images")


def require_finite(batch: Features, who: str) -> None:
    """Refuse a batch with NaN or infinity among its patches.

    Raises:
        ContractError: the first such image is named; or there are no patches.
    """
    finite = batch.need_patches(who).isfinite().flatten(1).all(1)
    if not finite.all():
        image = batch.ids[int(finite.logical_not().nonzero()[0])]
        raise ContractError(
            _AT_FAULT,
            f"features must be finite, but image {image!r} has NaN or infinity among its patches; look at the image, or"
            " compute in full precision",
        )
