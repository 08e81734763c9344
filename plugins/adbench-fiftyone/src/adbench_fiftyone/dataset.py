"""The dataset in FiftyOne; the only module that imports it, and late: it starts a database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from adbench import UsageError
from adbench_fiftyone.judged import JudgedImage

TRUTH, DEFECT = "ground_truth", "ground_truth_mask"
"""Fields of the truth: the kind of defect, and its pixels."""


def require_name(name: str, *, overwrite: bool) -> None:
    """Check that a dataset of this name can be made.

    Raises:
        UsageError: there is one, or FiftyOne is not installed or cannot start.
    """
    if name in _fiftyone().list_datasets() and not overwrite:
        raise UsageError(f"there is a dataset {name!r}; give another --name, or --overwrite to replace it")


def make_dataset(name: str, images: Sequence[JudgedImage], methods: dict[str, dict[str, Any]]) -> Any:
    """Make the dataset, which stays in FiftyOne's database; one of the same name is replaced.

    Args:
        name: of the dataset.
        images: become samples.
        methods: by field: name, seed, protocol and figures, which `dataset.info` keeps.

    Returns:
        FiftyOne's dataset.

    Raises:
        UsageError: FiftyOne is not installed or cannot start.
    """
    fo = _fiftyone()
    dataset = fo.Dataset(name, persistent=True, overwrite=True)
    dataset.add_samples([_sample(fo, image) for image in images], progress=False)
    dataset.info = {"adbench": methods}
    dataset.default_mask_targets = {255: "defect"}
    dataset.save()
    return dataset


def _sample(fo: Any, image: JudgedImage) -> Any:
    sample = fo.Sample(filepath=str(image.file), tags=[image.category])
    sample["image_id"] = f"{image.dataset}/{image.id}"
    sample[TRUTH] = fo.Classification(label=image.defect)
    if image.mask is not None:
        sample[DEFECT] = fo.Segmentation(mask_path=str(image.mask))
    for field, judged in image.judgements.items():
        sample[f"{field}_score"] = judged.score
        if judged.alarm is not None:
            sample[field] = fo.Classification(label="alarm" if judged.alarm else "good")
        if judged.map is not None:
            sample[f"{field}_map"] = fo.Heatmap(map_path=str(judged.map), range=[0, 255])
        if judged.limits is not None:
            sample[f"{field}_map_low"], sample[f"{field}_map_high"] = judged.limits
    return sample


def _fiftyone() -> Any:
    """The module `fiftyone`, whose database runs.

    Raises:
        UsageError: it is not installed, or its database does not start.
    """
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")
    try:
        import fiftyone

        fiftyone.list_datasets()
    except ImportError:
        raise UsageError("this command needs FiftyOne; pip install 'adbench-fiftyone[fiftyone]'") from None
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UsageError(f"FiftyOne does not start: {reason}; FIFTYONE_DATABASE_URI names another database") from error
    return fiftyone
