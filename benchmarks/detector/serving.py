"""`adbench serve` with many clients at once, against `predict` of the same files in batches.

    python benchmarks/detector/serving.py [--clients 16] [--images 2000]

PatchCore-lite at 256 px that learned from 38 hazelnuts; the images are the PNGs of both categories in turn, one to a
request. The server is a process of its own; its clients are threads of another one on the same cores, whose processor
time is shown beside the server's. Every answer's score is compared with `predict`'s. Goals: at least 0.8 of the
throughput of `predict`, nothing lost, memory flat.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measuring import ADBENCH, copies, cost_of, fitted, memory, parser, pngs, processor_time, told_load

from adbench import Detector

HEAD = b'--b\r\nContent-Disposition: form-data; name="image"; filename="image.png"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


class Answer(NamedTuple):
    """What came back for an image: status, score, and seconds from the request to its answer."""

    status: int
    score: float
    seconds: float


@contextmanager
def server(detector: Path) -> Iterator[tuple[int, int]]:
    """The port and the process of a server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([*map(str, ADBENCH), "serve", str(detector), "--port", str(port)]) as process:
        try:
            while not ready(port):
                assert process.poll() is None, "the server ended"
                time.sleep(0.2)
            yield port, process.pid
        finally:
            process.terminate()


def ready(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def asked(port: int, images: Sequence[Path]) -> list[Answer]:
    """The answers of one client, which asks for one image after the other on one connection."""
    connection, found = http.client.HTTPConnection("127.0.0.1", port, timeout=120), []
    for image in images:
        started = time.perf_counter()
        connection.request("POST", "/v1/predict", HEAD + image.read_bytes() + b"\r\n--b--\r\n", FORM)
        response = connection.getresponse()
        content = json.loads(response.read())
        score = content["predictions"][0]["score"] if response.status == 200 else float("nan")
        found.append(Answer(response.status, score, time.perf_counter() - started))
    return found


def by_clients(port: int, clients: int, images: Sequence[Path]) -> list[Answer]:
    """The answers in the order of the images."""
    with ThreadPoolExecutor(clients) as threads:
        shares = list(threads.map(lambda start: asked(port, images[start::clients]), range(clients)))
    return [shares[number % clients][number // clients] for number in range(len(images))]


def main() -> None:
    given = parser(__doc__, clients=16, images=2000).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        saved = fitted(given.data).save(Path(folder) / "hazelnut.adbench")
        images = sorted(copies(pngs(given.data), given.images, Path(folder) / "images").iterdir())
        detector, scores = Detector.load(saved), []
        list(detector.predict(images[:16]))
        batches = cost_of(lambda: scores.extend(one.score for one in detector.predict(images)))
        with server(saved) as (port, process):
            by_clients(port, given.clients, images[:64])
            before, used = memory(process), processor_time(process)
            answers: list[Answer] = []
            half = len(images) // 2
            first = cost_of(lambda: answers.extend(by_clients(port, given.clients, images[:half])))
            middle = memory(process)
            second = cost_of(lambda: answers.extend(by_clients(port, given.clients, images[half:])))
            tell(given.clients, batches.wall, batches.cpu, first.wall + second.wall, processor_time(process) - used)
            print(f"clients: {first.cpu + second.cpu:.1f} s of processor time in the same seconds")
            print(f"memory of the server, MB: {before:.0f} before, {middle:.0f} half-way, {memory(process):.0f} after")
    judge(answers, scores)


def tell(clients: int, wall: float, cpu: float, served: float, used: float) -> None:
    print(told_load())
    print(f"predict in batches: {wall:6.1f} s wall, {cpu:6.1f} s processor")
    print(f"serve, {clients} clients: {served:6.1f} s wall, {used:6.1f} s processor of the server")
    print(f"throughput of serve / predict: {wall / served:.2f} by wall time, {cpu / used:.2f} by processor time")


def judge(answers: Sequence[Answer], scores: Sequence[float]) -> None:
    lost = sum(one.status != 200 for one in answers)
    off = max(abs(one.score - score) / score for one, score in zip(answers, scores, strict=True))
    times = 1e3 * np.quantile([one.seconds for one in answers], [0.5, 0.95])
    print(f"{len(answers)} answers, {lost} of them refused; scores differ by up to {off:.1e} (relative)")
    print(f"a request takes {times[0]:.0f} ms (median), {times[1]:.0f} ms (95 %)")
    if lost:
        sys.exit(os.EX_SOFTWARE)


if __name__ == "__main__":
    main()
