"""Uploads: read within the limits into files that end with their request."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from adbench.datasets import read_size
from adbench.errors import BadImage, printable
from adbench_serve.limits import Limits, Refusal


class Upload(NamedTuple):
    """An image in a file of the server.

    Attributes:
        name: that the client gave it.
        path: of the file.
        problem: why it cannot be read, in a sentence; empty for an image that can.
    """

    name: str
    path: Path
    problem: str = ""


async def uploaded(
    request: Request, folder: Path, limits: Limits, take: Callable[[int], None], lost: asyncio.Future[None]
) -> list[Upload]:
    """The images of a request's form, as files in a folder.

    Args:
        request: with the form.
        folder: of the request alone.
        limits: of a request.
        take: is given the number of bytes that arrive; may refuse them.
        lost: is done when another upload has taken the place of this one, which was slow.

    Raises:
        Refusal: too large (413), too slow (408), no form with images (422), or the disk of the server is full (503).
    """
    try:
        return await _uploaded(request, folder, limits, take, lost)
    except OSError as error:
        raise Refusal(
            503,
            f"the server cannot keep uploads: {error.strerror or error}; try later, when it has room for them again",
        ) from None


async def _uploaded(
    request: Request, folder: Path, limits: Limits, take: Callable[[int], None], lost: asyncio.Future[None]
) -> list[Upload]:
    form = await _form(request, limits, take, lost)
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise Refusal(422, "the request holds no image; send multipart/form-data with files named 'image'")
        return await asyncio.to_thread(_kept, files, folder, limits)
    finally:
        await form.close()


async def _form(request: Request, limits: Limits, take: Callable[[int], None], lost: asyncio.Future[None]) -> FormData:
    bounded = Request(request.scope, _bounded(request, limits, take))
    parsed = asyncio.ensure_future(_parsed(bounded, limits))
    endings: set[asyncio.Future[Any]] = {parsed, lost}
    try:
        await asyncio.wait(endings, timeout=limits.seconds, return_when=asyncio.FIRST_COMPLETED)
        if parsed.done():
            return parsed.result()
        if lost.done():
            raise Refusal(408, "the upload was slow, and others needed its place; send it again, or smaller images")
        raise Refusal(408, f"the upload took longer than {limits.seconds:g} seconds; send smaller images")
    except HTTPException as error:
        told = error.detail.rstrip(".")
        raise Refusal(422, f"the form cannot be read: {told}; send at most {limits.images} images") from None
    except ClientDisconnect:
        raise Refusal(400, "the client left before the upload was complete") from None
    finally:
        parsed.cancel()


async def _parsed(request: Request, limits: Limits) -> FormData:
    return await request.form(max_files=limits.images, max_fields=8)


def _bounded(request: Request, limits: Limits, take: Callable[[int], None]) -> Any:
    most, taken = int(limits.megabytes * 1e6), 0

    async def receive() -> Any:
        nonlocal taken
        message = await request.receive()
        size = len(message.get("body", b""))
        taken += size
        if taken > most:
            await _rest_of(request, message, most)
            raise Refusal(413, f"the request is larger than {limits.megabytes:g} MB; send fewer or smaller images")
        try:
            take(size)
        except Refusal:
            await _rest_of(request, message, most)
            raise
        return message

    return receive


async def _rest_of(request: Request, last: Message, most: int) -> None:
    """Let go of what a client still sends after a message, up to so many bytes: most read no answer before that."""
    dropped = 0
    while last.get("more_body", False) and dropped <= most:
        last = await request.receive()
        dropped += len(last.get("body", b""))


def _kept(files: list[UploadFile], folder: Path, limits: Limits) -> list[Upload]:
    images, pixels = [], 0
    for number, file in enumerate(files):
        image, more = _image(file, folder / str(number))
        images.append(image)
        pixels += more
        if pixels > limits.megapixels * 1e6:
            raise Refusal(413, f"{image.name}: the images have more than {limits.megapixels:g} megapixels; send fewer")
    return images


def _image(file: UploadFile, path: Path) -> tuple[Upload, int]:
    name = printable(file.filename or path.name)[:200]
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target)
    try:
        height, width = read_size(path)
    except BadImage as error:
        return Upload(name, path, f"{error.problem}; send a PNG, JPEG, BMP, TIFF or WebP image"), 0
    return Upload(name, path), height * width
