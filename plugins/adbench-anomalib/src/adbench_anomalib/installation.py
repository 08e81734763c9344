"""The check that anomalib is installed in the one version whose models are known here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from adbench import WeightsError

VERSION = "2.7.0"


class MissingAnomalib(WeightsError):
    """anomalib is not installed, or in another version."""


def require_anomalib(who: str) -> None:
    """Refuse to start without anomalib; nothing is imported, as that takes ten seconds and more.

    Args:
        who: the component that needs it, as messages write it.

    Raises:
        MissingAnomalib: it is not installed, or in another version.
    """
    try:
        found = version("anomalib")
    except PackageNotFoundError:
        raise MissingAnomalib(
            f"{who} needs anomalib {VERSION}, which is not installed; pip install 'adbench-anomalib[anomalib]'"
        ) from None
    if found != VERSION:
        raise MissingAnomalib(
            f"{who} needs anomalib {VERSION}, but {found} is installed; pip install anomalib=={VERSION}"
        )
