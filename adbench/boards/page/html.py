"""Pages of HTML: templates filled by jinja2, with every script and style inside and nothing else allowed to run.

Strangers' text reaches a page in two ways only: escaped by jinja2, or as JSON that scripts turn into text nodes. The
Content-Security-Policy names the sha256 of each script and style of this package; it forbids all others, and requests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from adbench import Table
from adbench.engine.store.record import canonical_json

if TYPE_CHECKING:
    from jinja2 import Environment

SCRIPTS = ("dom", "theme", "data", "drawing", "plots", "overview", "table", "method", "compare", "page")
LIBRARIES = {"d3.min.js": "LICENSE-d3", "plot.umd.min.js": "LICENSE-plot"}
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def board_html(content: Mapping[str, Any], beside: Sequence[Table] = ()) -> str:
    """The page of one board.

    Args:
        content: as `content.content` makes it.
        beside: tables that stand below as they are.
    """
    libraries = [_library(name, licence) for name, licence in LIBRARIES.items()]
    own = "\n".join(_read("assets", f"{name}.js") for name in SCRIPTS)
    scripts = [*libraries, _closed(own)]
    styles = [_read("assets", "page.css"), _read("vendor", "plot-style.css")]
    shown = {"board": content["board"], "methods": len(content["methods"]), "notes": content["notes"], "beside": beside}
    return _render("board.html.j2", scripts, styles, data=embedded(content), **shown)


def index_html(paths: Sequence[str], contents: Sequence[Mapping[str, Any]]) -> str:
    """The page over all boards.

    Args:
        paths: of the boards' folders below this page.
        contents: as `content.content` makes them, in the same order.
    """
    own = "\n".join(_read("assets", f"{name}.js") for name in ("dom", "theme"))
    boards = [{"href": quote(path), **_summary(content)} for path, content in zip(paths, contents, strict=True)]
    return _render("index.html.j2", [_closed(own)], [_read("assets", "page.css")], boards=boards)


def _summary(content: Mapping[str, Any]) -> dict[str, Any]:
    """A board in a few words: the best of each group."""
    board, methods = content["board"], content["methods"]
    by = board["metrics"].index(board["rank_by"])
    best = []
    for number, group in enumerate(content["groups"]):
        first = [row for row in methods if row["group"] == number and row["ranks"][by] == 1]
        labels = ", ".join(row["label"] for row in first) or "none yet"
        figure = _figure(first[0]["figures"][by]) if first else "—"
        best.append({"group": group["name"], "label": labels, "figure": figure})
    return {**board, "methods": len(methods), "best": best}


def _figure(cell: Sequence[float | str]) -> str:
    """`91.0 ± 0.9`, `91.0 det.` or `91.0`."""
    mean, *spread = (value if isinstance(value, str) else f"{value:.1f}" for value in cell)
    return " ".join([mean, *spread]) if isinstance(cell[-1], str) else " ± ".join([mean, *spread])


def _closed(script: str) -> str:
    """A script that leaves no names behind."""
    return f'"use strict";\n(() => {{\n{script}}})();\n'


def embedded(value: Mapping[str, Any]) -> Markup:
    """JSON that no HTML parser finds an end or a beginning in."""
    return Markup(_spread(value).translate(_UNSAFE))  # noqa: S704  escaped on this line


def _spread(value: Mapping[str, Any]) -> str:
    """JSON with a line for each item of its lists, so that a new record changes few lines of a page."""
    fields = [f"{canonical_json(key)}:{_listed(item)}" for key, item in value.items()]
    return "{\n" + ",\n".join(fields) + "\n}"


def _listed(value: Any) -> str:
    if not isinstance(value, list):
        return canonical_json(value)
    return "[\n" + ",\n".join(map(canonical_json, value)) + "\n]"


def _render(template: str, scripts: Sequence[str], styles: Sequence[str], **values: Any) -> str:
    policy = (
        f"default-src 'none'; script-src {_sources(scripts)}; style-src {_sources(styles)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    trusted = {"scripts": list(map(Markup, scripts)), "style": Markup(styles[0]), "policy": policy}  # noqa: S704
    return _environment().get_template(template).render(**trusted, **values)


def _sources(texts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(f"'sha256-{digest}'" for digest in digests)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(lambda name: _read("templates", name))
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _library(name: str, licence: str) -> str:
    return f"/*!\n{_read('vendor', licence)}*/\n{_read('vendor', name)}"


@cache
def _read(folder: str, name: str) -> str:
    return (files("adbench.boards.page") / folder / name).read_text(encoding="utf-8")
