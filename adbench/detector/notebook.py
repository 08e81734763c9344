"""What Jupyter shows: tables and pictures as HTML. Every text is escaped, since names are untrusted."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def table_html(title: str, facts: Mapping[str, str]) -> str:
    """A table of two columns."""
    cells = {escape(name): escape(value).replace("\n", "<br>") for name, value in facts.items()}
    rows = "".join(f"<tr><th>{name}</th><td>{cell}</td></tr>" for name, cell in cells.items())
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def picture_html(picture: Image) -> str:
    """A picture inside the page."""
    file = io.BytesIO()
    picture.save(file, format="PNG")
    content = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="image and anomaly map" src="data:image/png;base64,{content}">'
