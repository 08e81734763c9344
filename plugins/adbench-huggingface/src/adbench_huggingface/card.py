"""The card of a dataset: what it holds, the methods' figures, how to read maps, and the licence of the images."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from adbench import Dataset
from adbench.datasets import PublishedDataset
from adbench.errors import one_line
from adbench.records import ScoredRun

_SPECIAL = re.compile(r"([\\`*_\[\]|~$#@<>&])")
FIGURES = ("image-auroc", "pixel-ap", "pixel-aupro-30")
"""The figures in the table, where there are some; the file of figures has all."""

_BODY = """
# {title}

Scores, anomaly maps and masks of {rows} pairs of a method and a test image, written by adbench. A row is what one
method says of one test image; no row is for training.

```python
from datasets import load_dataset

scores = load_dataset("PATH", split="test")
scores[0]["map"], scores[0]["score"], scores[0]["defective"]
```

## Figures

{table}

`figures.jsonl` has every figure of every run. Rows of different categories, seeds, protocols or numbers of training
images are not comparable.

## Columns

- `score`: the image score, higher for a defect; scores of two methods have no common scale.
- `threshold`, `alarm`: the score above which the method raises an alarm, set on normal images; null without one.
- `map`: the anomaly map on the image's pixels, in 8 bits. Its values are `map_low + map / 255 * (map_high - map_low)`,
  to half a step. All maps of one run have the same scale.
- `mask`: 255 on defective pixels; null for a defective image without an annotation.
- `image`: the photograph{photographs}.
- `record`: the id of the run's record.

## Licence

{licences}
"""


def card(runs: Sequence[ScoredRun], *, photographs: int) -> str:
    """The card as Markdown, with the YAML that the Hub reads before it.

    Args:
        runs: that the dataset holds, at least one.
        photographs: the number of rows with a photograph.
    """
    rows, names = sum(map(len, runs)), sorted({run.record.task.dataset for run in runs})
    title = f"Anomaly maps on {', '.join(names)}"
    about = {
        "pretty_name": one_line(title, 200),
        "tags": ["anomaly-detection", "industrial-inspection", "adbench"],
        "task_categories": ["image-segmentation", "image-classification"],
        "configs": [{"config_name": "default", "data_files": [{"split": "test", "path": "scores/**"}]}],
    }
    datasets = {run.record.task.dataset: run.dataset for run in runs}
    text = _BODY.format(
        title=_plain(title),
        rows=rows,
        table=_table(runs),
        photographs="; null, because they are not part of this folder" if not photographs else "",
        licences="\n".join(f"- {_plain(name)}: {_licence(datasets[name])}" for name in names),
    )
    return f"---\n{yaml.safe_dump(about, sort_keys=False, allow_unicode=True)}---\n{text}"


def _table(runs: Sequence[ScoredRun]) -> str:
    shown = [name for name in FIGURES if any(name in run.record.metrics for run in runs)]
    lines = [["method", "dataset", "category", "seed", "training images", *(f"{name} %" for name in shown)]]
    for run in runs:
        task, metrics = run.record.task, run.record.metrics
        values = [metrics[name].value if name in metrics else None for name in shown]
        figures = ["—" if value is None else f"{100 * value:.1f}" for value in values]
        about = [_plain(text) for text in (run.record.recipe.name, task.dataset, task.category)]
        lines.append([*about, str(task.seed), str(task.train), *figures])
    rules = ["---"] * 3 + ["---:"] * (len(lines[0]) - 3)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (lines[0], rules, *lines[1:]))


def _licence(dataset: Dataset) -> str:
    """The licence of a dataset's images, as far as adbench knows it."""
    if isinstance(dataset, PublishedDataset):
        source = dataset.source
        return f"{_plain(source.licence)} ([{_plain(source.title)}]({source.page}))"
    if dataset.may_be_shown:
        return "anybody may publish these images"
    return "unknown to adbench; ask whoever owns the photographs before you publish them, or masks made of them"


def _plain(text: str) -> str:
    """A text for Markdown without markup, HTML and line breaks."""
    return _SPECIAL.sub(r"\\\1", one_line(text, 300))
