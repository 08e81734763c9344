"""Facts about recipes in `recipes.yaml`, the file beside all boards: titles, papers, licences and cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adbench import StorageError
from adbench.boards.text import plain
from adbench.files import read_yaml

RECIPES_FILE = "recipes.yaml"
MAX_RECIPES_BYTES = 4 << 20
_ARXIV = re.compile(r"https://arxiv\.org/abs/(\d\d)\d\d\.\d{4,5}")


class RecipeFacts(BaseModel):
    """Facts about a recipe that its records do not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str = Field(max_length=100)
    title: str = Field(max_length=200)
    paper: str = Field("", pattern=r"^(?:https://[^\s<>\"']{1,200})?$", description="address of the paper")
    licence: str = Field("", max_length=100, description="of the recipe's code, as SPDX writes it")
    parameters: int | None = Field(None, ge=1, le=10**13, description="of the backbone's network, without its head")
    card: str = Field("", pattern=r"^(?:(?:\.\./)*[\w-][\w/.-]*\.md)?$", description="path from the folder of the file")

    @property
    def year(self) -> int | None:
        """Year of the paper's first version, which is part of an address of arXiv; None for other addresses."""
        found = _ARXIV.match(self.paper)
        return 2000 + int(found[1]) if found else None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recipes: list[RecipeFacts]


def read_recipe_facts(path: Path) -> Mapping[str, RecipeFacts]:
    """The facts in a file by the recipe's name; none if the file is not there.

    Raises:
        StorageError: it does not hold such facts.
    """
    if not path.is_file():
        return {}
    try:
        found = _File.model_validate(read_yaml(path, "a file of facts about recipes", MAX_RECIPES_BYTES)).recipes
    except ValidationError as error:
        first = error.errors()[0]
        raise StorageError(f"{path}: {plain('.'.join(map(str, first['loc'])))}: {first['msg']}") from None
    return {facts.recipe: facts for facts in found}
