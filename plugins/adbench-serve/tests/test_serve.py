"""A server: its answers are the detector's own, and what it cannot take is refused in a sentence."""

from __future__ import annotations

import asyncio
import base64
import errno
import http.client
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from adbench_serve.app import make_app
from adbench_serve.batches import Batches
from adbench_serve.limits import Limits, Refusal, UploadBudget
from click.testing import CliRunner
from PIL import Image
from starlette.testclient import TestClient

from adbench.errors import UsageError


@pytest.fixture
def client(detector):
    with TestClient(make_app({"bolt": detector, "nut": detector})) as made:
        yield made


def sent(client, *contents, **query):
    return client.post("/v1/predict", params=query, files=[("image", (f"{n}.png", c)) for n, c in enumerate(contents)])


def bomb(side):
    """A PNG that says it is large, and holds next to nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_answers_are_the_detectors_own(client, detector, image, defect, tmp_path):
    answers = sent(client, image, defect).json()["predictions"]
    for number, (content, answer) in enumerate(zip((image, defect), answers, strict=True)):
        (path := tmp_path / "one.png").write_bytes(content)
        own = detector.predict(path)
        assert answer["file"] == f"{number}.png"
        assert answer["score"] == pytest.approx(own.score, rel=1e-5)
        assert (answer["p_value"], answer["threshold"], answer["alarm"]) == (
            own.p_value,
            own.threshold,
            own.is_anomalous,
        )
    assert [answer["alarm"] for answer in answers] == [False, True]


def test_a_heatmap_is_a_png_of_the_images_size(client, image):
    [answer] = sent(client, image, heatmap=True).json()["predictions"]
    assert Image.open(io.BytesIO(base64.b64decode(answer["heatmap"]))).size == (32, 32)


@pytest.mark.slow
def test_an_explanation_comes_with_a_picture_or_says_why_there_is_none(memory_detector, client, image):
    with TestClient(make_app({"bolt": memory_detector})) as other:
        [answer] = sent(other, image, explain=True).json()["predictions"]
    assert answer["explanation"]["nearest"]["image"]
    assert Image.open(io.BytesIO(base64.b64decode(answer["explanation"]["picture"]))).size[0] > 100
    assert "adbench-serve-" not in str({**answer["explanation"], "picture": ""})
    assert "explanation" not in sent(client, image).json()["predictions"][0]


def test_a_request_chooses_its_detector(client, image):
    assert sent(client, image).json()["detector"] == "bolt"
    assert sent(client, image, detector="nut").json()["detector"] == "nut"
    assert "bolt, nut" in sent(client, image, detector="screw").json()["detail"]
    assert [one["name"] for one in client.get("/v1/detectors").json()] == ["bolt", "nut"]


@pytest.mark.parametrize(
    ("content", "status"), [(b"no image", 422), (b"", 422), (bomb(9_000), 413), (bomb(60_000), 422)]
)
def test_what_is_no_image_or_a_bomb_is_refused(client, content, status):
    answer = sent(client, content)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith("0.png: ")


def test_a_truncated_image_is_refused_by_its_name_and_others_are_not(client, image):
    answer = sent(client, image[:-200])
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("0.png: ")
    assert sent(client, image).status_code == 200


def test_one_bad_image_among_several_costs_no_other(client, image, defect):
    answers = sent(client, image, b"no image", image[:-200], defect).json()["predictions"]
    assert [answer["file"] for answer in answers] == ["0.png", "1.png", "2.png", "3.png"]
    assert [answer["error"] is None for answer in answers] == [True, False, False, True]
    assert [answer["alarm"] for answer in answers] == [False, None, None, True]
    assert 'adbench_images_total{detector="bolt"} 2.0' in client.get("/metrics").text


def test_a_request_without_any_image_that_can_be_read_is_refused_with_all_reasons(client):
    answer = sent(client, b"no image", b"")
    assert answer.status_code == 422
    assert "0.png: " in answer.json()["detail"]
    assert "1.png: " in answer.json()["detail"]


def test_uploads_take_a_limited_room_together(running, detector, image):
    head, body = _request(image)
    with running(make_app({"bolt": detector}, Limits(together=1.5 * len(body) / 1e6))) as port:
        with socket.create_connection(("127.0.0.1", port), 60) as half_sent:
            half_sent.sendall(head + body[:-20])
            assert _until(lambda: _status(port, head + body) == 503)
            half_sent.sendall(body[-20:])
            assert _answer(half_sent).startswith(b"HTTP/1.1 200")
        assert _status(port, head + body) == 200


def test_a_budget_gives_back_what_a_request_took():
    budget = UploadBudget(1e-5)
    with budget.share() as take:
        take(8)
        with budget.share() as other, pytest.raises(Refusal, match="try again in a second") as refused:
            other(3)
        assert refused.value.status == 503
        assert budget.taken == 8
    assert budget.taken == 0


def test_too_many_bytes_images_or_no_form_are_refused(detector, image):
    client = TestClient(make_app({"bolt": detector}, Limits(megabytes=0.02, images=2)))
    assert sent(client, bytes(30_000)).status_code == 413
    assert sent(client, image, image, image).status_code == 422
    assert client.post("/v1/predict", content=b"x").status_code == 422


def test_beyond_the_queue_requests_are_told_to_come_again(detector, image):
    client = TestClient(make_app({"bolt": detector}, Limits(queue=0)))
    answer = sent(client, image)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_a_token_is_asked_for_everywhere_but_for_health(detector, image):
    client = TestClient(make_app({"bolt": detector}, token="secret"))
    assert sent(client, image).status_code == 401
    assert client.get("/metrics").status_code == client.get("/openapi.json").status_code == 401
    assert client.get("/healthz").status_code == 200
    client.headers["Authorization"] = "Bearer secret"
    assert sent(client, image).status_code == 200


def test_an_answer_that_takes_too_long_is_refused(detector, image, monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(
        Batches, "_outcomes", lambda self, reads: held.wait(30) and self.detector.outcomes_of(read() for read in reads)
    )
    with TestClient(make_app({"bolt": detector}, Limits(seconds=0.3))) as client:
        answer = sent(client, image)
        held.set()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert client.get("/readyz").status_code == 200


def test_the_pixels_of_a_request_are_counted_together(detector, image):
    client = TestClient(make_app({"bolt": detector}, Limits(megapixels=0.0015)))
    assert sent(client, image).status_code == 200
    assert sent(client, image, image).status_code == 413


def test_the_interface_is_described(client):
    described = client.get("/openapi.json").json()["paths"]
    assert set(described) == {"/v1/predict", "/v1/detectors", "/healthz", "/readyz", "/metrics"}
    assert "multipart/form-data" in described["/v1/predict"]["post"]["requestBody"]["content"]


def test_every_answer_forbids_a_browser_to_run_it(client):
    for path in ("/healthz", "/v1/detectors", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
def test_counters_are_told(client, image):
    sent(client, image, image)
    assert 'adbench_images_total{detector="bolt"} 2.0' in client.get("/metrics").text


def test_images_that_arrive_together_are_scored_together(detector, image, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(20)]
    for path in paths:
        path.write_bytes(image)
    sizes = []

    async def work():
        with ThreadPoolExecutor(1) as thread:
            batches = Batches(detector, thread, sizes.append)
            return await asyncio.gather(*(batches.score([one]) for one in paths))

    found = asyncio.run(work())
    assert [one.name for [one] in found] == [str(path) for path in paths]
    assert sum(sizes) == 20
    assert max(sizes) == detector.settings.batch_size


def test_the_next_batch_is_read_while_one_is_computed_and_no_more(detector, image, tmp_path, monkeypatch):
    path, most = tmp_path / "a.png", detector.settings.batch_size
    path.write_bytes(image)
    readers: list[str] = []
    read, outcomes = detector.read, Batches._outcomes
    monkeypatch.setattr(detector, "read", lambda one: readers.append(threading.current_thread().name) or read(one))
    seen = []

    def computed(batches, reads):
        seen.append(len(batches._reading))
        return outcomes(batches, reads)

    monkeypatch.setattr(Batches, "_outcomes", computed)

    async def work():
        with ThreadPoolExecutor(1, "computes") as thread:
            return await Batches(detector, thread, lambda _: None).score([path] * 3 * most)

    assert len(asyncio.run(work())) == 3 * most
    assert seen == [most, most, 0]
    assert sum(name.startswith("computes") for name in readers) == 2 * most, "what was queued before the first batch"
    assert sum(name.startswith("reads") for name in readers) == most


def test_beyond_this_machine_a_token_is_required(tmp_path):
    from adbench_serve.command import command

    found = CliRunner().invoke(command, [str(tmp_path / "x.adbench"), "--host", "0.0.0.0"])
    assert isinstance(found.exception, UsageError)
    assert "--token" in str(found.exception)


@pytest.fixture
def server(detector, tmp_path):
    """`adbench serve` in a process of its own, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    saved = detector.save(tmp_path / "bolt.adbench")
    command = [sys.executable, "-c", "from adbench.cli import main; main()", "serve", str(saved), "--port", str(port)]
    command += ["--device", "cpu", "--runtime", "torch"]
    with subprocess.Popen(
        command, env={**os.environ, "OMP_NUM_THREADS": "1", "ADBENCH_CACHE": str(tmp_path)}
    ) as process:
        try:
            yield process, _ready(process, f"http://127.0.0.1:{port}"), port
        finally:
            process.kill()


def _ready(process, address):
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return address
    raise AssertionError("the server is not ready")


def _request(image):
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + image + b"\r\n--b--\r\n"
    head = (
        "POST /v1/predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), body


def _answer(connection):
    found = b""
    while more := connection.recv(65536):
        found += more
    return found


@pytest.mark.slow
def test_200_at_once_are_answered_or_told_to_come_again(server, image):
    _, _, port = server
    head, body = _request(image)

    with ThreadPoolExecutor(200) as threads:
        found = list(threads.map(lambda _: _status(port, head + body), range(200)))
    assert found == [200] * 200


@pytest.mark.slow
def test_slow_clients_leave_their_places_to_complete_uploads(running, detector, image):
    head, body = _request(image)
    app = make_app({"bolt": detector}, Limits(arriving=40, patience=1))
    with running(app) as port, ExitStack() as clients:
        slow = [clients.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(40)]
        for one in slow:
            one.sendall(head + body[:20])
        assert _until(lambda: b"under_way 40.0" in _told(port, "/metrics"))
        assert _status(port, head + body) == 429  # all of them have just begun
        time.sleep(1)
        with ThreadPoolExecutor(20) as threads:
            assert list(threads.map(lambda _: _status(port, head + body), range(20))) == [200] * 20
        assert b"needed its place" in _answer(slow[0])
        slow[-1].sendall(body[20:])
        assert _answer(slow[-1]).startswith(b"HTTP/1.1 200")  # places that nobody needs are kept


def _told(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.read()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "status"), [({"megabytes": 8}, 413), ({"together": 8}, 503)], ids=["one request", "all of them"]
)
def test_a_client_that_sends_too_much_reads_why(running, detector, limits, status):
    with (
        running(make_app({"bolt": detector}, Limits(**limits))) as port,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection,
    ):
        body = _request(bytes(15_000_000))[1]
        connection.request("POST", "/v1/predict", body, {"Content-Type": "multipart/form-data; boundary=b"})
        response = connection.getresponse()
        assert response.status == status
        assert "8 MB" in json.loads(response.read())["detail"]


def test_a_full_disk_is_a_sentence(client, image, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    found = sent(client, image)
    assert found.status_code == 503
    assert found.json()["detail"].startswith("the server cannot keep uploads: No space left on device; try later")
    monkeypatch.undo()
    assert sent(client, image).status_code == 200


@pytest.mark.slow
def test_a_slow_upload_is_refused_and_holds_nobody_up(running, detector, image):
    head, body = _request(image)
    with (
        running(make_app({"bolt": detector}, Limits(seconds=2))) as port,
        socket.create_connection(("127.0.0.1", port), 60) as slow,
    ):
        slow.sendall(head + body[:20])
        assert _status(port, head + body) == 200
        assert _answer(slow).startswith(b"HTTP/1.1 408")


def test_a_client_that_leaves_frees_its_place(running, detector, image):
    head, body = _request(image)
    with running(make_app({"bolt": detector}, Limits(arriving=1))) as port:
        with socket.create_connection(("127.0.0.1", port), 60) as gone:
            gone.sendall(head + body[:20])
        assert _until(lambda: _status(port, head + body) == 200)


def _until(holds):
    return any(holds() or time.sleep(0.1) for _ in range(100))


def _status(port, content):
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(content)
        return int(_answer(connection).split()[1])


@pytest.mark.slow
def test_a_stop_answers_what_was_taken(server, image):
    process, _, port = server
    head, body = _request(image)
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(head + body[:20])
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(body[20:])
        assert _answer(connection).startswith(b"HTTP/1.1 200")
    assert process.wait(60) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)
