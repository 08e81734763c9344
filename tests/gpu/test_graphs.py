"""Networks recorded as CUDA graphs, and images on their way to the device; a CPU records by keeping the function."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from adbench.api.networks.cuda import cuda_graph
from adbench.networks import CudaGraphed, to_device


@pytest.fixture
def record(device):
    return cuda_graph if device == "cuda" else lambda compute, _images: compute


@pytest.fixture
def network(device):
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.GELU(), torch.nn.Conv2d(8, 4, 3)]
    module = torch.nn.Sequential(*layers).eval().requires_grad_(requires_grad=False).to(device)
    return lambda images: [module(images), images.mean(dim=(2, 3))]


def images(device, count=2, seed=0):
    return torch.rand(count, 3, 16, 12, generator=torch.Generator().manual_seed(seed)).to(device)


def test_a_replay_is_bit_for_bit_what_was_computed(network, record, device):
    graphed = CudaGraphed(network, record)
    for seed in range(5):
        given = images(device, seed=seed)
        assert all(map(torch.equal, graphed(given), network(given)))
    assert graphed.notes == []


def test_answers_outlive_the_next_replay(network, record, device):
    graphed = CudaGraphed(network, record)
    seen = [graphed(images(device, seed=seed))[0] for seed in range(5)]
    assert all(torch.equal(found, network(images(device, seed=seed))[0]) for seed, found in enumerate(seen))


def test_several_sizes_take_turns(network, record, device):
    graphed = CudaGraphed(network, record)
    for count in (1, 3, 1, 3, 2, 1, 3, 2, 2):
        given = images(device, count, count)
        assert all(map(torch.equal, graphed(given), network(given)))


FORBIDDEN = """
import sys, torch
from adbench.networks import CudaGraphed

device = sys.argv[1]
record = None if device == "cuda" else lambda compute, _: compute
graphed = CudaGraphed(lambda given: [given * float(given.sum())], record)
before = torch.cuda.current_stream() if device == "cuda" else None
for seed in range(4):
    given = torch.rand(2, 3, generator=torch.Generator().manual_seed(seed)).to(device)
    torch.testing.assert_close(graphed(given)[0], given * given.sum())
assert len(graphed.notes) == (1 if device == "cuda" else 0), graphed.notes
assert (torch.cuda.current_stream() if device == "cuda" else None) == before, "another stream stayed current"
"""
"""Reading a result back forbids a graph. In a process of its own: torch's allocator remembers a failed recording."""


@pytest.mark.slow
def test_what_cannot_be_recorded_goes_on_without(device):
    ended = subprocess.run([sys.executable, "-c", FORBIDDEN, device], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_images_travel_whole(device):
    """Pinned memory must not be used again before the copy has been made."""
    sent = [torch.full((4, 3, 256, 256), float(number)) for number in range(30)]
    arrived = [to_device(some, device) for some in sent]
    for number, some in enumerate(arrived):
        assert some.device.type == device
        assert bool((some == number).all())
