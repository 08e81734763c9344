"""A method is fitted and scores images that no dataset and no task knows, as docs/architecture.md shows it."""

import pytest
import torch

from adbench import Context, Source
from adbench.engine.features.feature_reader import FeatureReader
from adbench.engine.features.image_loader import ImageLoader, SourceImage
from adbench.engine.features.streams import ImageStream
from adbench.engine.features.views import views_of
from adbench.engine.plan.recipe import Recipe, complete, components_of
from adbench.engine.process.clock import Clock
from adbench.engine.run.method import Method
from adbench.engine.run.scoring import score_stream


def picture(name, spot):
    pixels = torch.full((3, 32, 32), 0.2)
    if spot:
        pixels[:, 8:16, 16:24] = 1.0
    return SourceImage(name, lambda: pixels)


@pytest.mark.parametrize("vectors", [True, False])
def test_a_method_learns_from_a_stream_and_scores_another(registry, tmp_path, vectors):
    recipe = complete(
        Recipe.model_validate({"name": "toy", "backbone": "toy-pixels", "scorer": "toy-nearest"}), registry
    )
    ctx, clock = Context(workdir=tmp_path), Clock("cpu")
    method = Method.of(components_of(recipe, registry), recipe.map)
    method.backbone.prepare(ctx)
    method.prepare(ctx)
    reader = FeatureReader(method.backbone, ImageLoader(method.preprocess), clock, images=method.reads_images)
    normal = [picture(f"normal {number}", spot=False) for number in range(3)]
    method.fit({Source.TRAIN: ImageStream(reader, normal, views_of(method.augmenter))}, ctx)
    scored = score_stream(method, ImageStream(reader, [picture("good", 0), picture("bad", 1)]), clock, vectors=vectors)
    assert scored.predictions.ids == ("good", "bad")
    good, bad = scored.predictions.scores
    assert good == 0 < bad
    patches = scored.predictions.patches[1]
    row, column = divmod(int(patches.argmax()), patches.shape[1])
    assert 8 <= row * 32 // patches.shape[0] < 16 <= column * 32 // patches.shape[1] < 24
    assert scored.reading.seconds > 0
    assert len(scored.vectors) == (2 if vectors else 0)
