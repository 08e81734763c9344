"""The page on which a person scores an image."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse

FOLDER = Path(__file__).parent / "page"
FILES = {"/": "index.html", **{f"/{name}": name for name in ("page.css", "page.js", "history.js", "camera.js")}}
"""The page's files by address."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may do with the page: nothing from elsewhere, nothing inline."""


def add_page(app: FastAPI) -> None:
    """Serve the files of the page."""
    for address, name in FILES.items():
        app.get(address, include_in_schema=False, response_class=FileResponse)(_file(name))


def _file(name: str) -> Callable[[], Awaitable[FileResponse]]:
    async def answer() -> FileResponse:
        return FileResponse(FOLDER / name, headers={"Content-Security-Policy": POLICY})

    return answer
