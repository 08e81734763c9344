"""A detector that learns in a moment, and images for it."""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import uvicorn
from PIL import Image

from adbench import Detector


def noise(count, seed=0):
    draw = np.random.default_rng(seed)
    return [draw.integers(90, 110, (32, 32, 3), np.uint8) for _ in range(count)]


def png_of(pixels):
    Image.fromarray(pixels).save(target := io.BytesIO(), "PNG")
    return target.getvalue()


@pytest.fixture(scope="session")
def detector():
    parts = {"backbone": "toy-pixels", "scorer": "toy-nearest"}
    return Detector(**parts, device="cpu", runtime="torch", cache=None).fit(noise(24), threshold="conformal:alpha=0.1")


@pytest.fixture(scope="session")
def memory_detector():
    """A detector with a memory bank, which knows the places of normal patches."""
    for module in ("adbench_memory", "adbench_reconstruction"):
        pytest.importorskip(module)
    parts = {"preprocess": "resize:size=32", "backbone": "pixels:cell=4", "bank": "full", "scorer": "knn:k=1"}
    return Detector(**parts, device="cpu", runtime="torch", cache=None).fit(noise(24))


@pytest.fixture
def image():
    return png_of(noise(1, seed=7)[0])


@pytest.fixture
def defect():
    pixels = noise(1, seed=8)[0]
    pixels[10:18, 10:18] = 255
    return png_of(pixels)


@contextmanager
def _running(app):
    """An application on a port, in a thread."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert any(server.started or time.sleep(0.1) for _ in range(100))
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(60)


@pytest.fixture
def running():
    """Runs an application on a port, which it gives."""
    return _running
