import pytest

from adbench.builtin.folders.archive import DataSource
from adbench.cli.dataset_lines import about_source, found
from adbench.registration.registry import load_registry


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def class_of(registry, name):
    return registry.get("dataset", name).cls


def test_an_embedded_dataset_is_counted(registry):
    assert found(class_of(registry, "demo")) == ["embedded: 3 categories, 84 + 108 images (brick, grass, gravel)"]


def test_a_dataset_that_needs_an_option_says_which(registry):
    assert found(class_of(registry, "folder")) == ["needs root"]


def test_a_missing_dataset_says_where_it_was_looked_for(registry, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (line,) = found(class_of(registry, "mvtec-ad"))
    assert str(tmp_path) in line
    assert "adbench data get mvtec-ad" in line


def test_published_datasets_say_licence_size_and_page(registry):
    licence, source = about_source(class_of(registry, "mvtec-ad"))
    assert licence.startswith("licence: CC BY-NC-SA 4.0")
    assert "; 5,354 images; 5.3 GB to download" in licence
    assert source.startswith("source: https://")
    assert list(about_source(class_of(registry, "demo"))) == []


def test_a_size_that_nobody_published_is_unknown(registry):
    cls = type("Unmeasured", (), {"source": DataSource(title="X", page="https://x", licence="MIT", images=5)})
    assert next(about_source(cls)) == "licence: MIT; 5 images; size of the download unknown"
