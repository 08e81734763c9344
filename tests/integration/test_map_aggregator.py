"""An aggregator that reads the map, from the command line: methods that share a fit still score by their own map."""

import pytest

pytestmark = pytest.mark.slow

RECIPE = """recipe: {name}
backbone: toy-pixels
scorer: toy-nearest
bank: toy-vectors
preprocess: []
aggregate: {{map-top-fraction: {{fraction: 0}}}}
map: {{sigma: {sigma}}}
"""


def test_two_recipes_that_differ_in_their_map_have_their_own_image_scores(bench, tmp_path):
    names = {"sharp": 0, "smooth": 8}
    for name, sigma in names.items():
        (tmp_path / f"{name}.yaml").write_text(RECIPE.format(name=name, sigma=sigma))
    suite = tmp_path / "suite.yaml"
    task = f"{{data: {bench.data}, categories: [dots]}}"
    suite.write_text(f"suite: maps\ntasks: [{task}]\nrecipes: [./sharp.yaml, ./smooth.yaml]\n")
    together = bench.adbench("run", "--suite", suite, "--out", "together", "--device", "cpu", "--no-figures")
    assert together.code == 0, together.err
    scores = {}
    for name in names:
        alone = bench.run("--recipe", tmp_path / f"{name}.yaml", "--category", "dots")
        assert alone.code == 0, alone.err
        (record,) = alone.records
        scores[name] = record.metrics["image-auroc"].value, record.predictions.sha256
    found = {
        record.recipe.name: (record.metrics["image-auroc"].value, record.predictions.sha256)
        for record in type(together)(0, "", "", bench.folder / "together").records
    }
    assert found == scores
    assert scores["sharp"][1] != scores["smooth"][1]
