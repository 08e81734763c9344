"""Checks before records are ranked: adbench wrote them, and their images may be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from adbench import Weights
from adbench.boards.records.keys import place_of
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import listed, plain
from adbench.engine.images.contamination import MOST, defects_needed
from adbench.engine.store.record import ResultRecord, identity
from adbench.reports import Table

MOST_COUNTED = 10**9
MASKS = {
    "vanished_defects": (
        "no defect is smaller than a pixel of the grid",
        "{} vanish, and count as the pixels they touch: {}",
    ),
    "empty_masks": ("every mask marks something", "{} mark nothing, and are left out of the pixel metrics: {}"),
}
"""Counts of unusual masks that records may have, with the check and its result."""
IMAGES = {
    "near_duplicates": "no test image looks like a training image",
    "repeated_train": "no training image is there twice",
    "files_passed_over": "all files of the dataset were read",
}
"""Counts of images that records may have, and what they are counts of exceptions to."""


def forged(record: ResultRecord) -> str:
    """Reason why adbench cannot have written a record; empty if it can.

    A hash is no signature: who makes a record up from nothing is found out by `adbench board verify`, which runs it.
    """
    task, regime = record.task, record.regime
    if record.id != identity(record.recipe.spec_json, task.category, task.samples_sha, task.protocol, task.seed):
        return "its id does not follow from its recipe and task: it was edited; run it again"
    if regime.train_images not in (0, task.train):
        return f"it learned from {regime.train_images} images of {task.train}: it was edited; run it again"
    untrained = any(Weights(weights.name, weights.sha256).random for weights in record.provenance.weights)
    if untrained and not regime.random_weights:
        return "its weights are random, and its regime denies it: it was edited; run it again"
    if (task.dataset in _tuned_on(record)) != regime.tuned_on_test:
        return (
            "its recipe and its regime disagree on whether the test labels chose options: it was edited; run it again"
        )
    return _miscounted(record)


def _miscounted(record: ResultRecord) -> str:
    """Reason why the counts of a record contradict its protocol; empty if they do not."""
    task, rules = record.task, record.task.protocol
    for rule in ("shots", "limit_train"):
        most = _with_defects(rules.get(rule), rules.get("contaminate"))
        if most is not None and task.train > most and rules.get("model_per") != "dataset":
            return f"it learned from {task.train} images where its protocol gives {most}: it was edited; run it again"
    if record.status == "ok" and not (task.train and task.test):
        return "it ended well with no image to learn from, or none to judge: it was edited; run it again"
    return ""


def _with_defects(normal: object, share: object) -> int | None:
    """The most training images: normal ones, and defects that contaminate them; None without a limit."""
    if not isinstance(normal, int):
        return None
    return normal + (defects_needed(normal, share) if isinstance(share, float) and 0 < share <= MOST else 0)


def _tuned_on(record: ResultRecord) -> Sequence[str]:
    """The datasets whose test labels chose options of the recipe."""
    named = record.recipe.spec.get("tuned_on")
    return named if isinstance(named, list) else ()


def integrity_table(data: BoardData) -> Table:
    """A table with a line for each check, and its result."""
    records = data.records
    rows = (
        ("identities follow from recipe and task", f"all {len(records)} records"),
        ("raw scores were seen", _all_but((method.label for method in data.methods if method.unverified), "not of {}")),
        ("all rows saw the same images", _all_but(_on_other_images(data), "not {}")),
        ("no test image is a training image", _duplicates(data)),
        *count_rows(_counting(data)),
        ("weights were trained", _all_but((method.label for method in data.methods if method.random), "not of {}")),
        ("made from committed code", _committed(records)),
    )
    return Table("Integrity", ("checked", "found"), rows)


def _all_but(exceptions: Iterable[str], sentence: str) -> str:
    names = sorted(set(exceptions))
    return sentence.format(listed(names)) if names else "yes"


def _on_other_images(data: BoardData) -> Iterator[str]:
    for method in data.methods:
        strange = sorted({unit.category for unit, record in method.records.items() if data.strange(record)})
        yield from (f"{method.label} on {category}" for category in strange)


def _duplicates(data: BoardData) -> str:
    """Duplicates by the manifest, and by the records where the manifest has no entry."""
    images, known = data.truth.images, data.truth.duplicates
    looked = {place: set(names) for place, names in known.items() if place in images}
    for record in data.records:
        place = place_of(record)
        if record.task.duplicates is not None and place not in known and not data.strange(record):
            looked.setdefault(place, set()).update(record.task.duplicates)
    found = _all_but({name for names in looked.values() for name in names}, "not {}")
    unknown = len(images.keys() - looked.keys())
    if not unknown:
        return found
    missing = f"not looked at in {unknown} of {len(images)} units: run 'adbench board build' where the data is"
    return f"{found}; {missing}" if looked else missing


def _counting(data: BoardData) -> Iterator[ResultRecord]:
    """Measured records of units that ended well, on the board's images: those whose counts are believed."""
    for method in (each for each in data.methods if not each.unverified):
        yield from (each for each in method.records.values() if each.status == "ok" and not data.strange(each))


def count_rows(records: Iterable[ResultRecord]) -> Iterator[tuple[str, str]]:
    """A line for each count that any record has: masks only where there are unusual ones, images always.

    Records of one category saw the same files: the highest count of each category stands for them.
    """
    most: dict[str, dict[str, int]] = defaultdict(dict)
    for record in records:
        for fact, count in record.facts.items():
            known = most[fact].get(record.task.category, 0)
            most[fact][record.task.category] = max(known, int(min(MOST_COUNTED, count)))
    found = {fact: {name: count for name, count in sorted(by.items()) if count} for fact, by in most.items()}
    for fact, (checked, result) in MASKS.items():
        if masks := found.get(fact):
            where = ", ".join(f"{plain(name)} {count}" for name, count in masks.items())
            yield checked, result.format(sum(masks.values()), where)
    for fact in (each for each in IMAGES if each in found):
        yield IMAGES[fact], _all_but((f"{plain(name)} ({count})" for name, count in found[fact].items()), "not {}")


def _committed(records: Sequence[ResultRecord]) -> str:
    known = [record.provenance.dirty for record in records if record.provenance.dirty is not None]
    installed = len(records) - len(known)
    committed = f"{known.count(False)} of {len(known)} records" if known else "no record"
    return f"{committed}; {installed} made by an installed release" if installed else committed
