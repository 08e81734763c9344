"""Prompt files: states of an object in templates of a sentence, as WinCLIP composes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adbench import StorageError, UsageError
from adbench.files import read_yaml

FOLDER = Path(__file__).parent / "prompt_sets"
"""The sets that come with the package, a YAML file each."""

_FORM = "write lists of texts under 'normal', 'abnormal' and, if wanted, 'templates'"


@dataclass(frozen=True)
class PromptSet:
    """Compositional prompts (WinCLIP, arXiv 2303.14814, section 4.1): every state in every template.

    Attributes:
        normal, abnormal: states, in which ``{}`` stands for the object's name: ``"flawless {}"``.
        templates: sentences, in which ``{}`` stands for the state: ``"a photo of a {}."``.
    """

    normal: tuple[str, ...]
    abnormal: tuple[str, ...]
    templates: tuple[str, ...] = ("{}",)

    def sentences(self, states: Sequence[str], word: str) -> list[str]:
        """Each state of the object `word` in each template, state by state."""
        return [template.replace("{}", state.replace("{}", word)) for state in states for template in self.templates]


def read_prompts(file: Path) -> PromptSet:
    """The prompts in a YAML file.

    Raises:
        UsageError: the file cannot be read, is no YAML, or has another form; the message says where.
    """
    try:
        content = read_yaml(file, "a file of prompts")
    except StorageError as error:
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
        raise UsageError(f"prompts {error}; give a YAML file, or one of {known}") from None
    if not isinstance(content, dict):
        raise UsageError(f"prompts {file}: this is no mapping; {_FORM}")
    unknown = sorted(map(str, content.keys() - {"normal", "abnormal", "templates", "source"}))
    if unknown:
        raise UsageError(f"prompts {file}: there is no entry {unknown[0]!r}; {_FORM}")
    templates = _texts(file, content, "templates", ["{}"])
    for template in templates:
        if template.count("{}") != 1:
            raise UsageError(f"prompts {file}: template {template!r} needs exactly one {{}} for the state")
    return PromptSet(_texts(file, content, "normal"), _texts(file, content, "abnormal"), templates)


def _texts(file: Path, content: dict[Any, Any], entry: str, default: list[str] | None = None) -> tuple[str, ...]:
    """A non-empty list of texts whose only braces are ``{}``."""
    texts = content.get(entry, default)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UsageError(f"prompts {file}: {entry!r} is no list of texts, or empty; {_FORM}")
    for text in texts:
        if re.search(r"[{}]", text.replace("{}", "")):
            raise UsageError(f"prompts {file}: {text!r} has braces other than {{}}; only {{}} is filled in")
    return tuple(texts)
