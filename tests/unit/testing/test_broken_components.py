"""Every check catches a component that breaks its rule, and says what it saw."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from adbench import Aggregator, Field, Measure, Metric, Neck, Preprocessor, Scores, Source, Weights
from adbench.api.component import Config
from adbench.builtin import toy
from adbench.builtin.metrics_image import ImageAuroc
from adbench.builtin.metrics_pixel import PixelAuroc
from adbench.builtin.stages.aggregators import Max
from adbench.builtin.stages.augmenters import Rotate
from adbench.builtin.stages.necks import L2
from adbench.builtin.stages.preprocessors import Resize
from adbench.builtin.stages.tiles import Tile
from adbench.executor import Ending, Executor, Job
from adbench.reports import Report
from adbench.testing import Broken, Untried, checks_for
from adbench.training import Tuned, Tuner

# metadata


class BadName(toy.ToyMedian):
    """Has a name with a blank."""

    name = "bad name"


class Silent(toy.ToyMedian):
    __doc__ = None


class Undescribed(toy.ToyMedian):
    """Has an option without a description."""

    class Config(toy.ToyMedian.Config):
        """One option."""

        size: int = 3


class Thawed(toy.ToyMedian):
    """Has options that may change."""

    class Config(Config, frozen=False):
        """No options."""


class Demanding(toy.ToyVectors):
    """Cannot be made without a file, although no option is required."""

    def __init__(self, **options):
        super().__init__(**options)
        if not options:
            raise ValueError


class Forgetting(toy.ToyVectors):
    """Rounds its option each time that it is made."""

    def __init__(self, **options):
        super().__init__(**options)
        self.config = self.Config(fraction=self.config.fraction / 2)


class Swallowing(toy.ToyVectors):
    """Takes any option."""

    def __init__(self, fraction=0.5, **_):
        super().__init__(fraction=fraction)


class Needy(toy.ToyMedian):
    """Needs what there is not."""

    needs = frozenset({"labels"})


class Misplaced(toy.ToyEnergyScorer):
    """Names a default for a slot that there is not."""

    @classmethod
    def defaults(cls, config):
        return {"smoothing": "gaussian"}


class Misnamed(toy.ToyEnergyScorer):
    """Names a bank that there is not."""

    @classmethod
    def defaults(cls, config):
        return {"bank": "toy-enegy"}


class Misled(toy.ToyEnergyScorer):
    """Names an option that there is not."""

    @classmethod
    def defaults(cls, config):
        return {"aggregate": {"top-fraction": {"fractoin": 0.1}}}


class Plural(toy.ToyEnergyScorer):
    """Names what it needs as a text."""

    needs = "patches"


# every kind


class Bare(toy.ToyEnergyScorer):
    """Returns a tensor instead of scores."""

    def score(self, query, bank):
        return super().score(query, bank).patches


class Failing(toy.ToyEnergyScorer):
    """Raises in its work."""

    def score(self, query, bank):
        return None.patches


class Spoiling(toy.ToyBorder):
    """Changes its input in place."""

    def mask(self, features):
        features.patches.mul_(2)
        return super().mask(features)


class Unseeded(toy.ToyEnergy):
    """Draws from nowhere that could be repeated."""

    def fit(self, features, ctx):
        super().fit(features, ctx)
        self.learned["mean"] = self.learned["mean"] + np.random.default_rng().random()


class Seeding(toy.ToyEnergy):
    """Seeds the global generator."""

    def fit(self, features, ctx):
        random.seed(0)
        super().fit(features, ctx)


class Drawing(toy.ToyEnergy):
    """Draws from torch's global generator, and hides it."""

    def fit(self, features, ctx):
        super().fit(features, ctx)
        with torch.random.fork_rng(devices=[]):
            self.learned["mean"] = self.learned["mean"] + torch.rand(1)


# backbones


class Boasting(toy.ToyPixels):
    """Promises layers that it does not give."""

    @classmethod
    def provides(cls, config):
        return frozenset({"patches", "layers"})


class ChannelsFirst(toy.ToyPixels):
    """Leaves a dimension out."""

    def extract(self, batch):
        seen = super().extract(batch)
        return seen.having(patches=seen.patches.flatten(1, 2))


class BatchNormalised(toy.ToyPixels):
    """Subtracts the mean of the batch."""

    def extract(self, batch):
        seen = super().extract(batch)
        return seen.having(patches=seen.patches - seen.patches.mean(0))


class SquareOnly(toy.ToyPixels):
    """Crashes on sizes that are no multiple of the cell."""

    def extract(self, batch):
        batch.images.unflatten(2, (-1, 8)).unflatten(4, (-1, 8))
        return super().extract(batch)


class Turned(toy.ToyPixels):
    """Mixes up height and width."""

    @classmethod
    def defaults(cls, config):
        return {}

    def extract(self, batch):
        seen = super().extract(batch)
        high, wide = seen.patches.shape[1:3]
        return seen.having(patches=seen.patches.reshape(len(seen), max(high, wide), min(high, wide), -1))


class Training(toy.ToyPixels):
    """Is in training mode: drops out."""

    def extract(self, batch):
        seen = super().extract(batch)
        return seen.having(patches=torch.nn.functional.dropout(seen.patches))


class Anonymous(toy.ToyPixels):
    """Has weights without a hash."""

    def weights(self):
        return (Weights("mine", "unknown"),)


# banks


class Hoarding(toy.ToyAligned):
    """Keeps what it learned the last time."""

    def fit(self, features, ctx):
        before = getattr(self, "learned", {}).get("vectors", torch.zeros(0, 6, 9, 16))
        super().fit(features, ctx)
        self.learned["vectors"] = torch.cat([before, self.learned["vectors"]])


class Amnesiac(toy.ToyEnergy):
    """Leaves half of what it learned out of its state."""

    def state(self):
        return {"mean": self.learned["mean"]}

    def restore(self, state):
        self.learned = {"std": torch.ones(16), **state}


class Filing(toy.ToyVectors):
    """Keeps its vectors in a file in its own scratch folder, which is how it may be done."""

    @property
    def vectors(self):
        return torch.load(self.file)

    def fit(self, features, ctx):
        super().fit(features, ctx)
        self.file = ctx.workdir / "vectors.pt"
        torch.save(self.learned["vectors"], self.file)


class Losing(toy.ToyVectors):
    """Keeps them in a place that all banks of its kind share."""

    place: ClassVar = {}

    @property
    def vectors(self):
        return self.place["vectors"]

    def fit(self, features, ctx):
        super().fit(features, ctx)
        self.place.update(self.learned)


class Fleeting(Filing):
    """Keeps them in a folder that goes when it has learned."""

    def fit(self, features, ctx):
        with tempfile.TemporaryDirectory() as folder:
            super().fit(features, replace(ctx, workdir=Path(folder)))


class Crowded(toy.ToyEnergy):
    """Divides by the number of images but one."""

    def fit(self, features, ctx):
        super().fit(features, ctx)
        self.learned["std"] = self.learned["std"] / (len(features) - 1)


class Greedy(toy.ToyAligned):
    """Promises to drop what lies outside the foreground, and keeps it."""

    drops = True


class Undemanding(toy.ToyMedian):
    """Learns from an empty stream without a word."""

    learns_from = Source.TRAIN


class Peeking(toy.ToyMedian):
    """Says that it learns from nothing, and looks."""

    def fit(self, features, ctx):
        super().fit(features, ctx)
        list(features)


class Flattened(toy.ToyAligned):
    """Loses the grid."""

    def fit(self, features, ctx):
        super().fit(features, ctx)
        self.learned["vectors"] = self.learned["vectors"].flatten(1, 2)


class Blind(toy.ToyReconstruction):
    """Redraws everything as it is."""

    def reconstruct(self, features):
        return features.patches


# scorers


class Doubled(toy.ToyEnergyScorer):
    """Scores in float64."""

    def score(self, query, bank):
        return Scores(patches=super().score(query, bank).patches.double())


class Reversed(toy.ToyEnergyScorer):
    """Says how normal a patch is."""

    def score(self, query, bank):
        return Scores(patches=-super().score(query, bank).patches)


class Overdrawn(toy.ToyNearest):
    """Gives away more than there is."""

    def compare(self, query, bank, place):
        found = super().compare(query, bank, place)
        return replace(found, channels=found.channels * 2)


class MinMax(toy.ToyEnergyScorer):
    """Rescales by the batch."""

    def score(self, query, bank):
        scores = super().score(query, bank).patches
        return Scores(patches=scores / scores.max())


# stages


class Shifted(Resize):
    """Forgets a margin."""

    def apply(self, image, geometry):
        image, geometry = super().apply(image, geometry)
        y0, x0, y1, x1 = geometry.box
        return image, replace(geometry, box=(y0 + 9, x0 + 9, y1 + 9, x1 + 9))


class Scaled(Resize):
    """Changes the range."""

    def apply(self, image, geometry):
        image, geometry = super().apply(image, geometry)
        return image.float(), geometry


class Uncovered(Tile):
    """Leaves images as they are, whatever its tiles cover."""

    name = "uncovered"

    def apply(self, image, geometry):
        return image, geometry


class FromScratch(Resize):
    """Forgets what was done to the image before."""

    def apply(self, image, geometry):
        image, _ = super().apply(image, geometry)
        box = (0.0, 0.0, *map(float, geometry.original))
        return image, replace(geometry, size=tuple(image.shape[1:]), box=box)


class Same(Rotate):
    """Turns by nothing."""

    name = "same"

    def view(self, image, number):
        return image


class Halved(Rotate):
    """Shows every second row."""

    name = "halved"

    def view(self, image, number):
        return image[:, ::2]


class Renaming(Neck):
    """Names the images anew."""

    name = "renaming"

    def apply(self, features):
        return features.having(ids=tuple(str(i) for i in range(len(features))))


class Miscounting(L2):
    """Counts one channel for each layer."""

    def widths_after(self, widths):
        return dict.fromkeys(widths, 1)


class Centred(Neck):
    """Subtracts the mean of the batch."""

    name = "centred"

    def apply(self, features):
        return features.having(patches=features.patches - features.patches.mean(0))


class Soft(toy.ToyBorder):
    """Gives a probability."""

    def mask(self, features):
        return super().mask(features).float()


class Relative(toy.ToyBorder):
    """Compares with the batch."""

    def mask(self, features):
        strength = features.patches.norm(dim=-1)
        return strength > strength.mean()


class Forgetful(Neck):
    """Learns a mean, and keeps it to itself."""

    name = "forgetful"
    learns = True

    def fit(self, features, ctx):
        self.mean = torch.cat([part.patches.flatten(0, 2) for part in features]).mean(0)

    def apply(self, features):
        return features.having(patches=features.patches - self.mean)


class HalfKept(Forgetful):
    """Gives half of what it learned."""

    def state(self):
        return {"mean": self.mean / 2}

    def restore(self, state):
        self.mean = state["mean"]


# aggregators


class Wide(Max):
    """Gives float64."""

    def aggregate(self, scores):
        return super().aggregate(scores).double()


class Ranked(Max):
    """Counts images as they come."""

    def aggregate(self, scores):
        return super().aggregate(scores) + torch.arange(len(scores))


class Stacked(Aggregator):
    """Stacks grids that may differ."""

    name = "stacked"

    def aggregate(self, scores):
        return torch.stack([one.patches for one in scores]).amax((1, 2))


class Negated(Max):
    """Is lower for more."""

    def aggregate(self, scores):
        return -super().aggregate(scores)


class ByName(Max):
    """Looks at the id."""

    def aggregate(self, scores):
        return super().aggregate(scores) + torch.tensor([float(int(one.id[-1], 36)) for one in scores])


class Relating(Max):
    """Compares images, and says that it does not."""

    def aggregate(self, scores):
        found = super().aggregate(scores)
        return found - found.mean() if len(found) > 1 else found


# metrics


class Levelless(ImageAuroc):
    """Has a level that there is not."""

    level = "patch"


class Optimist(ImageAuroc):
    """Is the same for everything."""

    def measure(self, evidence):
        return Measure(0.5)


class FirstCome(ImageAuroc):
    """Depends on which image comes first."""

    def measure(self, evidence):
        measure = super().measure(evidence)
        return Measure(
            None if measure.value is None else measure.value * (1 - evidence.scores[0] / 100), measure.reason
        )


class Clamping(ImageAuroc):
    """Clamps scores to one."""

    def measure(self, evidence):
        return super().measure(replace(evidence, scores=evidence.scores.clip(max=1)))


class Zero(ImageAuroc):
    """Is 0 where it is undefined."""

    def measure(self, evidence):
        return Measure(super().measure(evidence).value or 0.0)


class Mapless(PixelAuroc):
    """Makes something up where there are no maps."""

    def measure(self, evidence):
        return Measure(0.5) if evidence.maps is None else super().measure(evidence)


class Squared(ImageAuroc):
    """Is something else than its name says."""

    def measure(self, evidence):
        measure = super().measure(evidence)
        return Measure(None if measure.value is None else measure.value**2, measure.reason)


class Odd(Metric):
    """Is NaN for constant scores."""

    name = "odd"
    level = "image"

    def measure(self, evidence):
        return Measure(float("nan") if np.ptp(evidence.scores) == 0 else 1.0)


# oracles


class PathReader(toy.ToyNearest):
    """Reads the label in the path."""

    def score(self, query, bank):
        scores = super().score(query, bank)
        good = torch.tensor(["/good/" in name for name in query.ids])
        return replace(scores, patches=torch.where(good[:, None, None], torch.zeros(()), scores.patches))


class TableReader(toy.ToyNearest):
    """Knows images by what they are called."""

    def score(self, query, bank):
        scores = super().score(query, bank)
        known = torch.tensor([float(int(name[-1:], 36)) for name in query.ids])
        return replace(scores, patches=scores.patches + known[:, None, None])


class Counting(toy.ToyNearest):
    """Finds the first images better than those that come later."""

    count = 0

    def score(self, query, bank):
        self.count += len(query)
        scores = super().score(query, bank)
        return replace(scores, patches=scores.patches * self.count)


class NamedVectors(toy.ToyVectors):
    """Learns only from images of some names."""

    def fit(self, features, ctx):
        super().fit(features, ctx)
        self.learned["vectors"] = self.learned["vectors"] * (1 + len(features.ids[0]))


class NamedMax(Max):
    """Adds what the name says."""

    def aggregate(self, scores):
        return super().aggregate(scores) + torch.tensor([float("crack" in one.id) for one in scores])


# reports and executors


class Short(Report):
    """Shows the title and the header only."""

    name, suffix = "short", ".txt"

    def render(self, tables):
        return "".join(f"{table.title} {table.columns}\n" for table in tables)


class Headless(Report):
    """Shows rows only."""

    name, suffix = "headless", "txt"

    def render(self, tables):
        return "".join(f"{row}\n" for table in tables for row in table.rows)


class Twice(Executor):
    """Does everything twice."""

    name, here = "twice", True

    def run(self, work, jobs):
        for job in jobs:
            yield Ending(job, work(job.order))
            yield Ending(job, work(job.order))


class Ghost(Executor):
    """Has an ending for no job."""

    name, here = "ghost", True

    def run(self, work, jobs):
        yield Ending(Job("ghost", ""), work(""))


class Ascii(Executor):
    """Loses what is not ASCII."""

    name, here = "ascii", True

    def run(self, work, jobs):
        return (Ending(job, work(job.order.encode("ascii", "replace").decode())) for job in jobs)


class Pretender(Executor):
    """Claims to run elsewhere."""

    name = "pretender"

    def run(self, work, jobs):
        return (Ending(job, work(job.order)) for job in jobs)


class OddOption(Preprocessor):
    """Turns its option into another one on the way through JSON."""

    name = "odd-option"

    class Config(Preprocessor.Config):
        """One option."""

        size: float = Field(float("nan"), description="not a number")

    def apply(self, image, geometry):
        return image, geometry


class Reshaping(Tuner):
    """Replaces a weight by one of another shape."""

    name = "reshaping"

    def tune(self, trainable, images, ctx):
        trainable.network.patch_embed = torch.nn.Conv2d(3, 16, 4, 8)
        return Tuned()


class Eavesdropping(Tuner):
    """Changes a weight by what the images are called."""

    name = "eavesdropping"

    def tune(self, trainable, images, ctx):
        with torch.no_grad():
            next(trainable.network.parameters()).mul_(2.0 if any("crack" in name for name in images.ids) else 1.0)
        return Tuned()


BROKEN = [
    (BadName, "name-is-a-slug", "'bad name'"),
    (Silent, "class-has-a-docstring", "There is none"),
    (Undescribed, "options-are-described", "none for size"),
    (Thawed, "options-are-frozen", "model_config was changed"),
    (Demanding(fraction=0.5), "default-constructible", "ValueError"),
    (Forgetting, "options-round-trip", "has others"),
    (OddOption, "options-round-trip", "ValidationError"),
    (Swallowing, "unknown-option-is-refused", "'fractionx' was taken"),
    (Needy, "needs-exist", "There is no labels"),
    (Misplaced, "defaults-fill-slots", "unknown slot 'smoothing'"),
    (Misnamed, "defaults-can-be-made", "names 'toy-enegy' as its default for 'bank': unknown bank"),
    (Misled, "defaults-can-be-made", "unknown option 'fractoin' of aggregator 'top-fraction'; did you mean"),
    (Plural, "class-is-whole", "its attribute 'needs' is 'patches'"),
    (Bare, "answers-have-their-types", "score(query, bank) returned an object of type Tensor; return Scores."),
    (Failing, "answers-have-their-types", "It raised AttributeError: 'NoneType'"),
    (Misplaced, "import-is-light", "pulls in"),
    (Spoiling, "inputs-stay-as-they-are", "changed in place"),
    (Unseeded, "same-seed-same-bits", "different answers"),
    (Seeding, "global-randomness-is-untouched", "That of Python changed"),
    (Drawing, "global-randomness-is-irrelevant", "changed with them"),
    (Boasting, "provides-is-true", "fills ['patches']"),
    (ChannelsFirst, "grids-match-images", "[2, 256, 6] for 2 images"),
    (BatchNormalised, "batch-of-one-equals-batch-of-four", "patches of image 0 differs"),
    (SquareOnly, "odd-sizes", "RuntimeError"),
    (Turned, "grid-follows-the-image", "12x8, and 12x8 turned"),
    (Training, "no-gradients-no-training", "call eval()"),
    (Anonymous, "weights-are-named", "'unknown'"),
    (Hoarding, "fit-twice-is-fit-once", "start afresh"),
    (Amnesiac, "state-round-trip", "something else"),
    (Losing, "state-survives", "answers otherwise after another unit"),
    (Fleeting, "state-survives", "FileNotFoundError"),
    (Crowded, "one-image-is-enough", "'std' is not finite"),
    (Undemanding, "empty-stream-is-refused", "without a word"),
    (Peeking, "nothing-is-never-read", "walked over the stream"),
    (Flattened, "contents-have-their-shapes", "Not [N, H, W, C]"),
    (Greedy, "dropped-patches-teach-nothing", "outside the foreground changes"),
    (Blind, "planted-defect-is-told-apart", "It reached 0.5"),
    (Doubled, "scores-have-their-shapes", "torch.float64"),
    (Reversed, "planted-defect-is-found", "patches scores reached 0.0"),
    (MinMax, "scores-do-not-depend-on-the-batch", "differ from those among 14"),
    (Overdrawn, "comparison-adds-up", "Those of channels are 2 together"),
    (Same, "views-are-images-of-one-size", "View 0 is the image itself"),
    (Halved, "views-are-images-of-one-size", "View 0 is [3, 150, 400]"),
    (Shifted, "dot-maps-back", "came back at"),
    (Uncovered, "tiles-cover-the-image", "300x400 pixels are not what its tiles cover"),
    (Scaled, "geometry-fits-the-image", "torch.uint8 became torch.float32"),
    (FromScratch, "steps-add-up", "came back at"),
    (Renaming, "neck-keeps-the-images", "Ids or geometry"),
    (Centred, "neck-of-one-equals-neck-of-four", "patches of image 0"),
    (Miscounting, "widths-of-layers-add-up", "It counts 2 channels, and the patches have 16"),
    (Soft, "mask-has-its-shape", "torch.float32"),
    (Relative, "mask-of-one-equals-mask-of-four", "image"),
    (Wide, "one-score-an-image", "torch.float64"),
    (Ranked, "order-does-not-matter", "They got others"),
    (Stacked, "grids-may-differ", "RuntimeError"),
    (Negated, "perfect-and-reversed", "They reached 0.000"),
    (ByName, "constant-and-ties", "They got"),
    (Relating, "alone-is-true", "write alone = False"),
    (Forgetful, "neck-state-round-trip", "its state is empty"),
    (HalfKept, "neck-state-round-trip", "otherwise than the one it came from"),
    (PathReader, "ids-do-not-matter", "'toy/test/good/008'"),
    (TableReader, "ids-do-not-matter", "otherwise where images are called"),
    (NamedVectors, "ids-do-not-matter", "otherwise where images are called"),
    (NamedMax, "ids-do-not-matter", "'toy/test/crack/008'"),
    (Counting, "order-is-irrelevant", "in another order"),
    (Levelless, "level-is-named", "'patch'"),
    (Optimist, "perfect-beats-reversed", "Perfect 0.5000"),
    (Optimist, "constant-scores-are-measured", "Constant 0.5000"),
    (Odd, "constant-scores-are-measured", "It is nan"),
    (FirstCome, "order-does-not-matter", "became"),
    (Clamping, "scores-are-ranked", "became"),
    (Zero, "no-positives-is-undefined", "It is 0.0"),
    (Mapless, "no-maps-is-undefined", "It is 0.5"),
    (Squared, "agrees-with-slow-reference", "by definition"),
    (Short, "every-cell-is-shown", "Missing: bottle"),
    (Headless, "empty-table-is-shown", "The header is missing"),
    (Headless, "suffix-is-a-suffix", "'txt'"),
    (Twice, "each-job-ends-once", "these ended: job 0, job 0, job 1"),
    (Ghost, "no-jobs-no-endings", "There was one"),
    (Ascii, "answers-arrive-unchanged", "Another answer came back"),
    (Pretender, "a-death-costs-its-own-job-only", "set `here = True`"),
    (Reshaping, "network-keeps-its-form", "A name or a shape"),
    (Eavesdropping, "names-do-not-matter", "Other names gave other weights"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "name", "seen"), BROKEN, ids=lambda value: getattr(value, "__name__", None) or str(value)
)
def test_the_check_sees_it(broken, name, seen):
    component = broken() if isinstance(broken, type) else broken
    (check,) = [check for check in checks_for(component) if check.name == name]
    with pytest.raises(Broken) as caught:
        check()
    assert seen in str(caught.value)
    assert str(caught.value).startswith(f"{component.title}: {check.sentence}")


def test_a_bank_that_keeps_a_file_in_its_folder_survives():
    for check in checks_for(Filing()):
        if check.name in ("state-survives", "planted-defect-is-told-apart", "fit-twice-is-fit-once"):
            check()


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), BaseException("base")])
def test_whatever_a_component_raises_fails_its_check(error, monkeypatch):
    monkeypatch.setattr("adbench.testing.check.is_stop", lambda _: False)

    class Leaving(toy.ToyVectors):
        """Leaves."""

        def fit(self, features, ctx):
            raise error

    checks = {check.name: check for check in checks_for(Leaving())}
    with pytest.raises(Broken, match=f"It raised {type(error).__name__}"):
        checks["answers-have-their-types"]()
    with pytest.raises(Untried, match=f"not tried: .*It raised {type(error).__name__}"):
        checks["one-image-is-enough"]()


def test_every_check_is_seen_to_fail():
    from adbench.testing.collect import _MODULES, _rules

    every = {rule.__name__ for kind in _MODULES if kind != "dataset" for rule in _rules(kind, metadata_only=False)}
    assert every == {"check_" + name.replace("-", "_") for _, name, _ in BROKEN}
