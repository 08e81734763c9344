"""Downloads one archive over HTTPS, resumes after an interruption, checks its content and unpacks it safely."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from adbench import DataError, StorageError
from adbench.builtin.folders.archive import Archive
from adbench.files import sha256_of

Progress = Callable[[str, int, "int | None"], None]
"""Called with what is being done, the bytes done, and the bytes to do or None."""

_BLOCK = 1 << 20
_TIMEOUT_S = 30
_ATTEMPTS = 50
_OWN_MACHINE = ("127.0.0.1", "::1", "localhost")


def download(archive: Archive, target: Path, progress: Progress) -> None:
    """Fetch, check and unpack into a folder that does not exist yet or is empty.

    An incomplete download stays beside the folder, so that a second call resumes it.

    Raises:
        DataError: no connection, another content than expected, or an archive that would write elsewhere.
        StorageError: the folder is not empty or cannot be written.
    """
    part = target.with_name(f"{target.name}.download")
    try:
        if target.exists() and any(target.iterdir()):
            raise StorageError(f"{target} is not empty; delete it, or give another folder with --root")
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(archive, part, target, progress)
        _check(archive, part, target, progress)
        _unpack_whole(archive, part, target, progress)
        part.unlink()
    except OSError as error:
        raise StorageError(f"{error.filename or target}: {error.strerror or error}; make room or give --root") from None


def _fetch(archive: Archive, part: Path, target: Path, progress: Progress) -> None:
    """Download the file, in as many requests as the connection needs."""
    problem = "the connection breaks off again and again"
    for _ in range(_ATTEMPTS):
        have = part.stat().st_size if part.exists() else 0
        try:
            if _piece(archive, part, have, progress):
                return
        except (HTTPException, _Unreachable) as error:
            problem = str(error)
            if part.exists() and part.stat().st_size > have:
                continue  # it brought something: go on from there
            break
    kept = " What has arrived is kept; the same command goes on from there." if part.exists() else ""
    raise DataError(
        f"{archive.title} could not be downloaded from {archive.url}: {problem}.{kept} {archive.by_hand(target)}"
    )


class _Unreachable(Exception):
    """An error of the network, not of the disk."""


def _piece(archive: Archive, part: Path, have: int, progress: Progress) -> bool:
    """Request the missing bytes and write them; returns whether the file is complete."""
    with _open(archive.url, have) as response:
        if response.status == 416:  # nothing is missing, or the file here is longer than the one there
            complete = _size(response.headers, 0) == have
            if not complete:
                part.unlink()
            return complete
        begin = have if response.status == 206 else 0
        size = _size(response.headers, begin)
        with part.open("r+b" if begin else "wb") as file:
            file.seek(begin)
            done = _copy(response, file, begin, archive, lambda done: progress("downloading", done, size))
    return size is None or done >= size


def _copy(response: HTTPResponse, file: IO[bytes], done: int, archive: Archive, progress: Callable[[int], None]) -> int:
    """Write a response to the file; returns the size of the file afterwards."""
    while True:
        try:
            block = response.read(_BLOCK)
        except OSError as error:
            raise _Unreachable(str(error)) from error
        if not block:
            return done
        done += file.write(block)
        if done > archive.largest:
            raise DataError(
                f"{archive.title}: {archive.url} sends more than {archive.largest:,} bytes, which cannot be it"
            )
        progress(done)


def _open(url: str, have: int) -> Any:
    """The response to a request for the bytes from `have` on."""
    _require_https(url)
    headers = {"User-Agent": "adbench", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        return build_opener(_HttpsOnly).open(Request(url, headers=headers), timeout=_TIMEOUT_S)  # noqa: S310  checked
    except HTTPError as error:
        if error.code == 416:
            return error
        raise _Unreachable(f"the server answers {error.code} {error.reason}") from error
    except OSError as error:
        raise _Unreachable(str(getattr(error, "reason", error))) from error


class _HttpsOnly(HTTPRedirectHandler):
    """Follows a redirection only to another HTTPS address."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_https(url: str) -> None:
    address = urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _OWN_MACHINE):
        raise DataError(f"{url}: downloads go over https only")


def _size(headers: HTTPMessage, begin: int) -> int | None:
    """The size of the whole file, if the server gives it."""
    whole = headers.get("Content-Range", "").rpartition("/")[2]
    if whole.isdecimal():
        return int(whole)
    length = headers.get("Content-Length", "")
    return begin + int(length) if length.isdecimal() else None


def _check(archive: Archive, part: Path, target: Path, progress: Progress) -> None:
    """Compare the content with its known sha256; a wrong file is deleted."""
    size = part.stat().st_size
    progress("checking", 0, size)
    found = sha256_of(part)
    progress("checking", size, size)
    if found != archive.sha256:
        part.unlink()
        raise DataError(
            f"{archive.title}: what arrived from {archive.url} is not the archive that is known ({size:,} bytes of"
            f" sha256 {found[:16]}..., expected {archive.sha256[:16]}...); it was deleted. {archive.by_hand(target)}"
        )


def _unpack_whole(archive: Archive, part: Path, target: Path, progress: Progress) -> None:
    """Unpack the whole archive, or nothing."""
    fresh = target.with_name(f"{target.name}.unpacking")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        unpack(archive, part, fresh, progress)
        if target.exists():
            target.rmdir()
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def unpack(archive: Archive, path: Path, folder: Path, progress: Progress) -> None:
    """Unpack files and folders, nothing else, and nothing outside the folder.

    Raises:
        DataError: it is no tar archive, is damaged, holds links, devices or names that lead elsewhere, or too much.
    """
    import lzma
    import zlib

    count = done = 0
    folder.mkdir(parents=True)
    try:
        with tarfile.open(path, "r|*") as tar:
            for member in tar:
                count, done = count + 1, done + member.size
                if count > archive.members or done > archive.largest:
                    raise DataError(f"{path}: holds more than {archive.members:,} files or {archive.largest:,} bytes")
                _unpack_member(tar, member, folder / _safe(member))
                progress("unpacking", done, None)
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, FileExistsError) as error:
        raise DataError(f"{path}: is no sound tar archive: {error}; delete it and download it again") from None


def _safe(member: tarfile.TarInfo) -> PurePosixPath:
    """The member's path inside the folder."""
    path = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        raise DataError(f"the archive is refused: {member.name!r} is a link or a device")
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name or "\0" in member.name:
        raise DataError(f"the archive is refused: {member.name!r} leads out of the folder")
    return path


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    if source is not None:
        with source, path.open("xb") as file:
            shutil.copyfileobj(source, file, _BLOCK)
