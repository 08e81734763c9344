"""The content of a board's page as JSON: a pure function of records, details and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from adbench.boards.board import Board
from adbench.boards.page.command import command_line, file_name, recipe_lines
from adbench.boards.page.detail import Shared, detail_of
from adbench.boards.records.board_extras import PICTURES, BoardExtras
from adbench.boards.records.keys import UnitKey, method_name
from adbench.boards.records.pictures import LayeredPicture, address
from adbench.boards.records.recipe_facts import RecipeFacts
from adbench.boards.statistics.fingerprint import fingerprint
from adbench.boards.statistics.stats import compare, ranking
from adbench.boards.tables.costs import costs_of
from adbench.boards.tables.figures import FIXED, Figure, figures_of, percent
from adbench.boards.tables.methods import MethodRow, RegimeGroup
from adbench.boards.tables.table import Standing, notes_on, standings
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import plain
from adbench.engine.store.record import canonical_json

ROOM = 1_500_000
"""Bytes that details and pictures may fill: with the scripts and the figures of 500 methods a page stays below 3 MB."""
COST_DIGITS = 4
UP = "../../"
"""From a board's folder to the folder of all boards."""
MOST_RANKED = 40
"""Methods of a group beyond which a critical-difference diagram shows nothing."""

Row: TypeAlias = tuple[MethodRow, dict[str, Any]]
"""A method and its JSON."""


def content(
    data: BoardData,
    extras: BoardExtras,
    recipes: Mapping[str, RecipeFacts] = MappingProxyType({}),
    *,
    single_file: bool = False,
) -> dict[str, Any]:
    """The JSON that the page's scripts read.

    Args:
        data: of the board.
        extras: details of single images, and pictures.
        recipes: facts about recipes, by name.
        single_file: whether the page holds its photographs, instead of links to `pictures/`.
    """
    shared = Shared()
    groups, named = standings(data), {method.key: _recipe_of(method, recipes) for method in data.methods}
    rows = [
        (place.method, _method(data, place, number, shared) | {"source": named[place.method.key]})
        for number, (_, places) in enumerate(groups)
        for place in places
    ]
    best_first = _best_first(rows, data.board)
    room = _add_details(best_first, data, shared, extras)
    _add_pictures(best_first, shared, extras, room, single_file=single_file)
    return {
        "schema": 1,
        "board": _board(data),
        "groups": [_group(data, regime, places, extras) for regime, places in groups],
        "methods": [row for _, row in rows],
        "notes": _about_details([row for _, row in rows]),
        "recipes": {name: _facts(recipes[name]) for name in sorted(filter(None, set(named.values())))},
        "shared": shared.to_json(),
    }


def _recipe_of(method: MethodRow, recipes: Mapping[str, RecipeFacts]) -> str | None:
    """The known recipe that a row's name begins with: what follows a plus sign has been altered."""
    name = method_name(method.records.values()).partition("+")[0]
    return name if name in recipes else None


def _facts(recipe: RecipeFacts) -> dict[str, Any]:
    return {
        "title": plain(recipe.title),
        "paper": recipe.paper,
        "year": recipe.year,
        "licence": plain(recipe.licence),
        "parameters": recipe.parameters,
        "card": f"{UP}{recipe.card}" if recipe.card else "",
    }


def _about_details(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Notes of the page if single images are left out."""
    shown = sum("details" in row for row in rows)
    if shown == len(rows):
        return []
    return [f"Single images are shown of {shown} of {len(rows)} methods: those that have details, the best first."]


def _board(data: BoardData) -> dict[str, Any]:
    board = data.board
    return {
        "title": plain(board.title),
        "dataset": plain(board.dataset),
        "protocol": board.protocol.sentence(),
        "metrics": list(map(plain, board.metrics)),
        "rank_by": plain(board.rank_by),
        "categories": list(map(plain, data.categories)),
        "seeds": list(data.seeds),
        "records": len(data.records),
        "test": _test_images(data),
    }


def _test_images(data: BoardData) -> int | None:
    """Test images of all categories together; None where records disagree, or there are none."""
    counts = {(record.task.category, record.task.test) for record in data.records}
    found = dict(counts)
    return sum(found.values()) if found and len(found) == len(counts) else None


def _group(data: BoardData, regime: RegimeGroup, places: Sequence[Standing], extras: BoardExtras) -> dict[str, Any]:
    """Methods that may be ranked together, and which of them the categories cannot tell apart, for each metric."""
    methods, few = [place.method for place in places], len(places) <= MOST_RANKED
    return {
        "name": str(regime),
        "fingerprint": fingerprint(data, regime),
        "rankings": None if regime.unverified or not few else [_ranking(data, methods, m) for m in data.board.metrics],
        "tests": _tests(data, [place.method for place in places if place.rank is not None], extras) if few else None,
    }


def _tests(data: BoardData, ranked: Sequence[MethodRow], extras: BoardExtras) -> dict[str, Any] | None:
    """The first against each of the others, by the metric that decides the rank."""
    if len(ranked) < 2:
        return None
    found = compare(data, ranked[0], ranked[1:], data.board.rank_by, extras.details_of)
    keys = {method.label: method.key for method in ranked}
    p = {keys[label]: _rounded(value) for label, value in found.p.items()}
    return {"first": ranked[0].key, "test": found.test, "p": p}


def _ranking(data: BoardData, methods: Sequence[MethodRow], metric: str) -> dict[str, Any] | None:
    found = ranking(data, methods, metric)
    if found.difference is None:
        return None
    keys = {method.label: method.key for method in methods}
    return {
        "ranks": {keys[label]: round(rank, 3) for label, rank in found.ranks.items()},
        "difference": round(found.difference, 3),
        "friedman": None if found.friedman is None else _rounded(found.friedman),
        "groups": [[keys[label] for label in group] for group in found.groups],
    }


def _method(data: BoardData, place: Standing, group: int, shared: Shared) -> dict[str, Any]:
    """The row of a method: ranks, figures, costs and recipe."""
    method, board = place.method, data.board
    first = next(iter(method.records.values()))
    file, seeds = file_name(first), sorted({unit.seed for unit in method.records})
    parts = [
        f"{part.kind} {part.name} v{part.version} ({part.dist} {part.dist_version})" for part in first.recipe.parts
    ]
    return {
        "group": group,
        "ranks": place.ranks,
        "key": method.key,
        "label": method.label,
        "random": method.random,
        "figures": [_cell_with_spread(place.figures[metric]) for metric in board.metrics],
        "intervals": [_interval(place.figures[metric]) for metric in board.metrics],
        "by": [_by_category(data, method, metric) for metric in board.metrics],
        "cost": _costs(costs_of(data)[method.key]),
        "recipe": [shared.lines.place(line) for line in recipe_lines(first)],
        "parts": [shared.lines.place(plain(part)) for part in parts],
        "file": file,
        "command": command_line(file, board.dataset, board.protocol.of_row(method.regime.shots), seeds),
        "notes": notes_on(data, method),
    }


def _cell_with_spread(cell: Figure) -> list[float | str] | str:
    """A mean with its spread over seeds, or with the mark for a fixed figure."""
    if cell.mean is None:
        return cell.mark
    if cell.fixed and cell.spread is not None:
        return [float(percent(cell.mean)), FIXED]
    return [float(percent(value)) for value in (cell.mean, cell.spread) if value is not None]


def _interval(cell: Figure) -> list[float] | None:
    """The 95 % interval of a mean over draws of the test images, in percent."""
    return None if cell.mean is None or cell.interval is None else [float(percent(end)) for end in cell.interval]


def _by_category(data: BoardData, method: MethodRow, metric: str) -> list[float | str]:
    found = figures_of(data, metric).by_category
    cells = (found[method.key, category] for category in data.categories)
    return [cell.mark if cell.mean is None else float(percent(cell.mean)) for cell in cells]


def _costs(costs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _rounded(value) if isinstance(value, float) else value for name, value in costs.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.{COST_DIGITS}g}")


def _best_first(rows: Sequence[Row], board: Board) -> list[Row]:
    by = board.metrics.index(board.rank_by)
    return sorted(rows, key=lambda row: (row[1]["ranks"][by] or len(rows) + 1, row[1]["group"]))


def _add_details(rows: Sequence[Row], data: BoardData, shared: Shared, extras: BoardExtras) -> int:
    """Give details to as many methods as there is room for; the room that is left.

    Details that are too large are left out; smaller ones of the next method may still fit.
    """
    room = ROOM
    for method, row in rows:
        before, mark = shared.size, shared.mark()
        found = detail_of(method, data.categories, data.board.metrics, extras, shared)
        needed = len(canonical_json(found)) + shared.size - before
        if needed > room:
            shared.back_to(mark)
        elif found:
            row["details"], room = found, room - needed
    return room


def _add_pictures(rows: Sequence[Row], shared: Shared, extras: BoardExtras, room: int, *, single_file: bool) -> None:
    """Give pictures to as many methods with details as there is room for."""

    def shown(picture: LayeredPicture | str) -> list[int | str] | str:
        if isinstance(picture, str):
            return picture
        name = picture.photograph
        source = address(extras.photographs[name]) if single_file else f"{PICTURES}/{name}"
        return [shared.photographs.place(source), picture.heat, picture.outline]

    for method, row in rows:
        before, mark = shared.size, shared.mark()
        found = _pictures_of(method, row.get("details", {}), extras)
        drawn = {category: {image: shown(one) for image, one in images.items()} for category, images in found.items()}
        needed = len(canonical_json(drawn)) + shared.size - before
        if needed > room:
            shared.back_to(mark)
        elif drawn:
            row["pictures"], room = drawn, room - needed


def _pictures_of(
    method: MethodRow, details: Mapping[str, Any], extras: BoardExtras
) -> dict[str, dict[str, LayeredPicture | str]]:
    """By category, the pictures of the unit that has details."""
    units = {category: UnitKey(category, detail["seed"]) for category, detail in details.items()}
    found = {category: extras.pictures_of(method.records[unit].id) for category, unit in units.items()}
    return {category: dict(sorted(images.items())) for category, images in found.items() if images}
