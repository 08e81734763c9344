"""Pages of HTML: templates filled by jinja2, with the package's own scripts and styles and nothing else allowed to run.

Strangers' text reaches a page in two ways only: escaped by jinja2, or as JSON that scripts turn into text nodes. The
Content-Security-Policy of a page that shares its assets allows scripts and styles from files of the page's own place,
and none inside the page; that of a page that stands alone names the sha256 of each script and style inside, and forbids
all others. Both forbid requests.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from adbench.boards.page.asset_files import (
    FOLDER,
    Asset,
    board_script,
    index_script,
    plot_library,
    read,
    style_sheet,
)
from adbench.boards.tables.figures import DASH
from adbench.engine.store.record import canonical_json
from adbench.reports import Table

if TYPE_CHECKING:
    from jinja2 import Environment

_OWN_PLACE = "'self' file:"
"""Where a page finds shared assets and photographs: on its own server, or on disk, where browsers may take no two files
for one origin.

A page that came from a server cannot read files of the disk, whatever its policy says.
"""
_DEMO = "demo"
"""The dataset whose boards stand below all real ones."""
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def board_html(content: Mapping[str, Any], beside: Sequence[Table] = (), *, single_file: bool = False) -> str:
    """The page of one board.

    Args:
        content: as `content.content` makes it.
        beside: tables that stand below as they are.
        single_file: whether the page holds its scripts and styles, instead of links to `../../assets/`.
    """
    scripts, data = [index_script(), plot_library(), board_script()], embedded(content)
    shown = {"board": content["board"], "methods": len(content["methods"]), "notes": content["notes"], "beside": beside}
    shown["without_script"] = _plain_standings(content)
    return rendered("board.html.j2", scripts, None if single_file else f"../../{FOLDER}", data=data, **shown)


def _plain_standings(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rank, label and figure of each method by the metric that decides the rank: what is shown where no script runs."""
    by = content["board"]["metrics"].index(content["board"]["rank_by"])
    rows = defaultdict(list)
    for method in content["methods"]:
        figure, rank = method["figures"][by], method["ranks"][by]
        shown = figure if isinstance(figure, str) else _figure(figure)
        rows[method["group"]].append({"rank": rank or DASH, "label": method["label"], "figure": shown})
    return [{"title": group["name"], "rows": rows[number]} for number, group in enumerate(content["groups"])]


def index_html(
    paths: Sequence[str],
    contents: Sequence[Mapping[str, Any]],
    overall: str | None = None,
    *,
    single_file: bool = False,
) -> str:
    """The page that lists all boards.

    Args:
        paths: of the boards' folders below this page.
        contents: as `content.content` makes them, in the same order.
        overall: the folder of the page over all data sets; None where there is none.
        single_file: whether the page holds its script and style, instead of links to `assets/`.
    """
    boards = [{"href": quote(path), **_summary(content)} for path, content in zip(paths, contents, strict=True)]
    boards.sort(key=lambda board: (not board["methods"], board["dataset"] == _DEMO))  # a stable sort: else by path
    return rendered("index.html.j2", [index_script()], None if single_file else FOLDER, boards=boards, overall=overall)


def _summary(content: Mapping[str, Any]) -> dict[str, Any]:
    """A board in a few words: the best of each group."""
    board, methods = content["board"], content["methods"]
    by = board["metrics"].index(board["rank_by"])
    best = []
    for number, group in enumerate(content["groups"]):
        first = [row for row in methods if row["group"] == number and row["ranks"][by] == 1]
        labels = ", ".join(row["label"] for row in first) or "none yet"
        figure = _figure(first[0]["figures"][by]) if first else DASH
        best.append({"group": group["name"], "label": labels, "figure": figure})
    return {**board, "methods": len(methods), "best": best}


def _figure(cell: Sequence[float | str]) -> str:
    """`91.0 ± 0.9`, `91.0 det.` or `91.0`."""
    mean, *spread = (value if isinstance(value, str) else f"{value:.1f}" for value in cell)
    return " ".join([mean, *spread]) if isinstance(cell[-1], str) else " ± ".join([mean, *spread])


def embedded(value: Mapping[str, Any]) -> Markup:
    """JSON in which an HTML parser finds no tag."""
    return Markup(_spread(value).translate(_UNSAFE))  # noqa: S704  escaped on this line


def _spread(value: Mapping[str, Any]) -> str:
    """JSON with a line for each item of its lists, so that a new record changes few lines of a page."""
    fields = [f"{canonical_json(key)}:{_listed(item)}" for key, item in value.items()]
    return "{\n" + ",\n".join(fields) + "\n}"


def _listed(value: Any) -> str:
    if not isinstance(value, list):
        return canonical_json(value)
    return "[\n" + ",\n".join(map(canonical_json, value)) + "\n]"


def rendered(template: str, scripts: Sequence[Asset], folder: str | None, **values: Any) -> str:
    """A page whose assets lie in `folder`, as a relative link; None for a page that holds them.

    The first script runs where the page offers its colours; the others wait until all of the page is there.
    """
    style = style_sheet()
    links = None if folder is None else [f"{folder}/{script.name}" for script in scripts]
    trusted = {
        "scripts": [Markup(script.text) for script in scripts],  # noqa: S704  the package's own
        "style": Markup(style.text),  # noqa: S704  the package's own
        "links": links,
        "style_link": f"{folder}/{style.name}",
        "folder": folder,
        "icon": _icon(),
        "policy": _policy(scripts, style, inside=folder is None),
    }
    return _environment().get_template(template).render(**trusted, **values)


def _icon() -> str:
    """The pages' icon as an address that holds it."""
    return f"data:image/svg+xml,{quote(read('assets', 'icon.svg').strip())}"


def _policy(scripts: Sequence[Asset], style: Asset, *, inside: bool) -> str:
    """The Content-Security-Policy of a page with its assets inside or beside it."""
    script_sources = _digests(*(script.text for script in scripts)) if inside else _OWN_PLACE
    style_source = _digests(style.text) if inside else _OWN_PLACE
    drawings = _digests(read("vendor", "plot-style.css"))
    return (
        f"default-src 'none'; script-src {script_sources}; style-src {style_source} {drawings};"
        f" img-src data:{'' if inside else f' {_OWN_PLACE}'}; base-uri 'none'; form-action 'none'"
    )


def _digests(*texts: str) -> str:
    found = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(f"'sha256-{digest}'" for digest in found)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(lambda name: read("templates", name))
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["breakable"] = breakable
    return made


def breakable(name: str) -> Markup:
    """A name that may break behind its separators, as in the pages' scripts."""
    return Markup("<wbr>").join(piece for piece in re.split(r"(?<=[-+_/:,(])", name) if piece)
