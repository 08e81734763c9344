"""The packages that bring components and recipes which are not installed here, for errors that say what to install."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGES_FILE = Path(__file__).with_name("packages.json")
"""Names by kind, with their packages. `scripts/recipe_cards` writes it from the plugins that are installed with it."""


@cache
def _packages() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = json.loads(PACKAGES_FILE.read_text(encoding="utf-8"))
    return found


def advice_for(name: str, kind: str = "") -> str:
    """What to install for a component or recipe, of a kind or of any, in brackets; empty where no package has it."""
    kinds = [kind] if kind else sorted(_packages())
    package = next((names[name] for names in map(_packages().get, kinds) if names and name in names), None)
    return f"(it is in {package}: pip install {package})" if package else ""
