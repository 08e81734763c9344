from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from adbench.boards.board import Board, BoardProtocol
from adbench.engine.store.record import ResultRecord

DOCS = Path(__file__).parents[3] / "docs"


def parts(annotation):
    """The models in an annotation such as `list[Part] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from parts(argument)


def fields(model, prefix=""):
    for name, info in model.model_fields.items():
        path = prefix + (info.alias or name)
        yield path
        for part in parts(info.annotation):
            yield from fields(part, f"{path}.")


def test_every_field_of_a_record_is_documented_and_nothing_else():
    rows = re.findall(r"^\| `([\w.]+)` \|", (DOCS / "records.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(fields(ResultRecord))


@pytest.mark.parametrize("name", [name for name in BoardProtocol.model_fields if name not in ("seeds", "evaluation")])
def test_every_rule_of_a_protocol_is_documented(name):
    assert re.search(rf"^\| `{name}\b", (DOCS / "protocol.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_board_in_the_docs_is_a_board():
    (text,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "protocol.md").read_text(encoding="utf-8"), re.DOTALL)
    board = Board.model_validate(yaml.safe_load(text))
    assert board.protocol.sentence().endswith("seeds 0, 1, 2")
