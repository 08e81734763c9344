from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from adbench import DataError, StorageError
from adbench.builtin.folders import download as module
from adbench.builtin.folders.archive import Archive
from adbench.builtin.folders.download import download, unpack


def tarball(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


NOISE = b"".join(hashlib.sha256(bytes([index % 256, index // 256])).digest() for index in range(9000))
CONTENT = tarball(special("bottle", tarfile.DIRTYPE), ("bottle/train/good/000.png", NOISE), ("readme.txt", b"hello"))


class Server(HTTPServer):
    """Serves one file in pieces.

    Attributes:
        breaks: after so many bytes of each answer the connection is closed.
        ranges: whether it understands Range.
        status: answered instead, if not 0.
        target: where it redirects to, if anywhere.
        asked: the Range headers that arrived.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.breaks, self.ranges = content, 0, True
        self.status, self.target, self.asked = 0, "", []

    def handle_error(self, request, client_address):
        """A client that goes away is no error here."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if server.status or server.target:
            self.send_response(server.status or 302)
            self.send_header("Location", server.target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begin = int(self.headers.get("Range", "bytes=0-")[6:-1]) if server.ranges else 0
        size = len(server.content)
        if begin >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - begin))
        self.end_headers()
        self.wfile.write(server.content[begin : begin + server.breaks] if server.breaks else server.content[begin:])


@pytest.fixture
def server():
    server = Server(CONTENT)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def archive(server) -> Archive:
    return Archive(
        title="Toy",
        url=f"http://127.0.0.1:{server.server_port}/toy.tar.xz",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        page="https://example.org/toy",
        licence="CC0",
        variable="TOY_DATA",
    )


def silent(stage: str, done: int, total: int | None) -> None:
    pass


def test_fetch_check_and_unpack(archive, tmp_path):
    message = []
    download(archive, tmp_path / "a" / "toy", lambda *progress: message.append(progress))
    target = tmp_path / "a" / "toy"
    assert (target / "bottle" / "train" / "good" / "000.png").read_bytes() == NOISE
    assert (target / "readme.txt").read_text() == "hello"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["toy"]
    assert ("downloading", len(CONTENT), len(CONTENT)) in message
    assert {stage for stage, *_ in message} == {"downloading", "checking", "unpacking"}


def test_a_connection_that_breaks_is_taken_up_again(archive, server, tmp_path):
    server.breaks = len(CONTENT) // 3 + 1
    download(archive, tmp_path / "toy", silent)
    assert server.asked == [None, f"bytes={server.breaks}-", f"bytes={2 * server.breaks}-"]
    assert (tmp_path / "toy" / "readme.txt").exists()


def test_a_second_call_goes_on_where_the_first_was_cut_off(archive, server, tmp_path, monkeypatch):
    server.breaks = 1000
    monkeypatch.setattr(module, "_ATTEMPTS", 2)
    with pytest.raises(DataError, match="breaks off again and again.*What has arrived is kept"):
        download(archive, tmp_path / "toy", silent)
    assert (tmp_path / "toy.download").stat().st_size == 2000
    server.breaks = 0
    download(archive, tmp_path / "toy", silent)
    assert server.asked[-1] == "bytes=2000-"
    assert (tmp_path / "toy" / "bottle").is_dir()


def test_a_server_without_ranges_starts_again(archive, server, tmp_path):
    server.ranges = False
    (tmp_path / "toy.download").write_bytes(b"x" * 500)
    download(archive, tmp_path / "toy", silent)
    assert (tmp_path / "toy" / "readme.txt").exists()


@pytest.mark.parametrize("extra", [0, 7])
def test_a_complete_file_is_used_and_one_that_is_too_long_is_not(archive, server, tmp_path, extra):
    (tmp_path / "toy.download").write_bytes(CONTENT + b"x" * extra)
    download(archive, tmp_path / "toy", silent)
    assert len(server.asked) == (2 if extra else 1)


def test_another_content_is_refused(archive, server, tmp_path):
    server.content = CONTENT[:-4] + b"oops"
    with pytest.raises(DataError, match=r"not the archive that is known.*download it from https://example\.org/toy"):
        download(archive, tmp_path / "toy", silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_that_refuses(archive, server, tmp_path, status):
    server.status = status
    with pytest.raises(
        DataError, match=rf"the server answers {status} .*By hand: .*unpack it into .*toy.*set TOY_DATA"
    ):
        download(archive, tmp_path / "toy", silent)
    assert list(tmp_path.iterdir()) == []


def test_no_network(archive, server, tmp_path):
    closed = HTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{closed.server_port}/toy"
    closed.server_close()
    with pytest.raises(DataError, match=r"could not be downloaded from http://127.*refused.*By hand"):
        download(replace(archive, url=url), tmp_path / "toy", silent)


def test_only_https(archive, server, tmp_path):
    with pytest.raises(DataError, match="https only"):
        download(replace(archive, url="http://example.org/toy"), tmp_path / "toy", silent)
    with pytest.raises(DataError, match="https only"):
        download(replace(archive, url="file:///etc/passwd"), tmp_path / "toy", silent)
    server.target = "http://example.org/toy"
    with pytest.raises(DataError, match=r"http://example\.org/toy: downloads go over https only"):
        download(archive, tmp_path / "toy", silent)


def test_a_server_that_never_stops(archive, tmp_path):
    with pytest.raises(DataError, match="sends more than 1,000 bytes"):
        download(replace(archive, largest=1000), tmp_path / "toy", silent)


def test_a_folder_in_use_is_left_alone(archive, server, tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "mine.txt").touch()
    with pytest.raises(StorageError, match="is not empty"):
        download(archive, tmp_path / "toy", silent)
    assert server.asked == []
    (tmp_path / "toy" / "mine.txt").unlink()
    download(archive, tmp_path / "toy", silent)
    assert (tmp_path / "toy" / "bottle").is_dir()


def test_a_place_that_cannot_be_written(archive, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        download(archive, tmp_path / "file" / "toy", silent)


@pytest.mark.parametrize(
    "member",
    [
        ("../evil.txt", b"x"),
        ("a/../../evil.txt", b"x"),
        ("/tmp/evil.txt", b"x"),
        ("a\\..\\evil.txt", b"x"),
        ("C:/evil.txt", b"x"),
        special("link", tarfile.SYMTYPE, "/etc/passwd"),
        special("link", tarfile.LNKTYPE, "readme.txt"),
        special("pipe", tarfile.FIFOTYPE),
        special("device", tarfile.CHRTYPE),
    ],
    ids=lambda member: member.name if isinstance(member, tarfile.TarInfo) else member[0],
)
def test_a_malicious_archive_writes_nothing_elsewhere(archive, server, tmp_path, member):
    server.content = tarball(("readme.txt", b"hello"), member)
    wanted = replace(archive, sha256=hashlib.sha256(server.content).hexdigest())
    target = tmp_path / "deep" / "toy"
    with pytest.raises(DataError, match="the archive is refused"):
        download(wanted, target, silent)
    assert not target.exists()
    assert not list(tmp_path.rglob("evil*"))
    assert not list(tmp_path.rglob("*.unpacking"))


@pytest.mark.parametrize(
    ("content", "limits", "expected"),
    [
        (b"this is no archive at all" * 50, {}, "no sound tar archive"),
        (CONTENT[: len(CONTENT) // 2], {}, "no sound tar archive"),
        (tarball(("a", b"x"), ("a", b"y")), {}, "no sound tar archive"),
        (CONTENT, {"members": 2}, "holds more than 2 files"),
        (CONTENT, {"largest": 5000}, "or 5,000 bytes"),
    ],
)
def test_archives_that_cannot_be_unpacked(archive, tmp_path, content, limits, expected):
    (tmp_path / "a.tar.xz").write_bytes(content)
    with pytest.raises(DataError, match=expected):
        unpack(replace(archive, **limits), tmp_path / "a.tar.xz", tmp_path / "out", silent)


def test_mvtec_ads_archive_is_described():
    from adbench.builtin.folders.datasets import MVTecAD

    described = MVTecAD.source
    assert described.url.startswith("https://")
    assert len(bytes.fromhex(described.sha256)) == 32
    assert "CC BY-NC-SA 4.0" in described.licence
    assert Path(described.url).name == "mvtec_anomaly_detection.tar.xz"
