"""The page of the datasets is up to date, and has a section for each."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    """scripts/dataset_pages as a module."""
    pytest.importorskip("adbench_data", reason="the plugin adbench-data is not installed")
    loader = importlib.machinery.SourceFileLoader("dataset_pages", str(ROOT / "scripts" / "dataset_pages"))
    spec = importlib.util.spec_from_loader("dataset_pages", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run scripts/dataset_pages"


def test_each_dataset_has_its_section(script):
    from adbench_data import every_dataset

    text = script.page()
    for cls in every_dataset():
        section = text.split(f"## `{cls.name}`\n")[1].split("\n## ")[0]
        assert cls.__doc__.split("\n")[0].replace("``", "`") in section
        for option in cls.Config.model_fields:
            assert f"  - `{option}` (" in section
        if cls.name != "manifest":
            assert cls.source.page in section
            assert cls.source.licence in section
