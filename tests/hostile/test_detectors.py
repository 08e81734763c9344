"""A detector's file from a stranger: whatever is in it, opening it is a sentence, and runs nothing."""

import json
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from adbench.detector.detector import Detector
from adbench.errors import AdbenchError, StorageError, UsageError, WeightsError

QUICK = {"cache": None, "runtime": "torch", "device": "cpu"}


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    rng = np.random.default_rng(0)
    images = [rng.integers(90, 110, (32, 32, 3), dtype=np.uint8) for _ in range(8)]
    detector = Detector(backbone="toy-pixels", bank="full", scorer="knn", **QUICK).fit(images)
    return detector.save(tmp_path_factory.mktemp("honest") / "honest.adbench")


@pytest.fixture
def forged(honest, tmp_path):
    """Makes a copy in which some entries are others."""

    def forge(**changes):
        path = tmp_path / "forged.adbench"
        with zipfile.ZipFile(honest) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                change = changes.get(name.partition(".")[0], lambda content: content)
                content = change(old.read(name))
                if content is not None:
                    new.writestr(name, content)
        return path

    return forge


def manifest(**fields):
    def change(content):
        return json.dumps({**json.loads(content), **fields})

    return change


def tensors(**changed):
    return lambda content: save({**load(content), **changed})


def opened(path):
    return Detector.load(path, **QUICK)


def test_the_honest_file_opens(honest):
    assert opened(honest).about.images


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: None, "has no detector.json"),
        (lambda _: b"\xff\xfe", "no UTF-8"),
        (lambda _: b"[" * 100_000, "JSON"),
        (lambda _: b"[]", "not a detector of adbench"),
        (lambda _: b"{}", "not a detector of adbench"),
        (manifest(schema=3), "made by a newer adbench"),
        (manifest(schema=0), "not a detector of adbench"),
        (manifest(seed=-1), "seed"),
        (manifest(images=[{"name": "x", "sha256": "no", "alias": "y"}]), "images"),
        (manifest(more="fields"), "more"),
        (manifest(white=float("nan")), "white"),
    ],
)
def test_a_manifest_that_is_none_is_a_sentence(forged, change, said):
    with pytest.raises(StorageError, match=said):
        opened(forged(detector=change))


def recipe(**fields):
    def change(content):
        data = json.loads(content)
        return json.dumps({**data, "recipe": {**data["recipe"], **fields}})

    return change


def part(**fields):
    def change(content):
        data = json.loads(content)
        data["parts"][0].update(fields)
        return json.dumps(data)

    return change


def test_plugins_that_are_missing_or_of_another_version_are_named(forged):
    with pytest.raises(
        UsageError, match="needs preprocessor 'none-such', which is not installed; adbench-core .* is here"
    ):
        opened(forged(detector=part(name="none-such")))
    with pytest.raises(UsageError, match="which is not installed; pip install adbench-mine==1.2"):
        opened(forged(detector=part(name="none-such", dist="adbench-mine", dist_version="1.2")))
    with pytest.raises(UsageError, match="the file names no package that has it"):
        opened(forged(detector=part(name="none-such", dist="a; rm -rf /")))
    with pytest.raises(UsageError, match="made with version 7 of preprocessor 'resize'"):
        opened(forged(detector=part(version=7)))


def test_a_recipe_that_is_none_is_a_sentence(forged):
    with pytest.raises(AdbenchError):
        opened(forged(detector=recipe(scorer="none-such")))
    with pytest.raises(AdbenchError, match="makes no detector"):
        opened(forged(detector=recipe(bank={"test-set": {}})))


def test_a_file_that_the_recipe_names_is_never_looked_for_by_a_path(forged, tmp_path):
    secret = tmp_path / "elsewhere" / "secret"
    secret.parent.mkdir()
    secret.write_text("secret")
    for name in ("../elsewhere/secret", str(secret), ".."):
        file = {"slot": "bank", "place": 0, "option": "path", "file": name, "sha256": "0" * 64, "inside": False}
        with pytest.raises(StorageError, match="files"):
            opened(forged(detector=manifest(files=[file])))
    file = {"slot": "bank", "place": 0, "option": "path", "file": "secret", "sha256": "0" * 64, "inside": True}
    with pytest.raises(AdbenchError, match="has no files/"):
        opened(forged(detector=manifest(files=[file])))
    with pytest.raises(WeightsError, match="put that file beside it"):
        opened(forged(detector=manifest(files=[{**file, "inside": False}])))


def test_other_weights_than_it_was_made_with_are_refused(forged):
    weights = [{"name": "some-weights", "sha256": "0" * 64}]
    with pytest.raises(WeightsError, match="made with the weights some-weights"):
        opened(forged(detector=manifest(weights=weights)))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\xff" * 100,
        lambda content: content[: len(content) // 2],
        lambda _: save({"nothing": torch.zeros(1)}),
        tensors(ids=torch.tensor([255, 254], dtype=torch.uint8)),
        tensors(facts=torch.tensor(list(b"{"), dtype=torch.uint8)),
    ],
)
def test_a_bank_that_is_none_is_a_sentence(forged, change):
    with pytest.raises(StorageError, match=r"bank"):
        opened(forged(bank=change))


def test_owners_of_nothing_do_no_harm(forged):
    path = forged(bank=tensors(owners=torch.full((8192,), 10**12)))
    with pytest.raises(AdbenchError):
        opened(path).predict(np.zeros((32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    "change",
    [lambda _: b"", tensors(scores=torch.tensor([float("nan")])), lambda _: save({"peaks": torch.zeros(1)})],
)
def test_normal_scores_that_are_none_are_a_sentence(forged, change):
    with pytest.raises(StorageError, match="normal"):
        opened(forged(normal=change))


def test_nothing_in_the_file_is_unpickled(honest):
    with zipfile.ZipFile(honest) as archive:
        names = archive.namelist()
    assert sorted(name.rpartition(".")[2] for name in names) == ["json", "safetensors", "safetensors"]
