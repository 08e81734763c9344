from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from adbench.api.networks.exports import exported, opened


@pytest.mark.slow
def test_a_signal_is_survived_after_networks_have_come_and_gone():
    code = (
        "import faulthandler, signal, time, torch\n"
        "from adbench.api.networks.exports import exported, opened\n"
        "faulthandler.enable()\n"
        "content = exported(torch.nn.Conv2d(3, 4, 3).eval(), torch.zeros(1, 3, 8, 8))\n"
        "networks = [opened('openvino', content, 1) for _ in range(3)]\n"
        "while networks:\n"
        "    networks.pop(0)(torch.zeros(1, 3, 8, 8))\n"
        "signal.signal(signal.SIGALRM, lambda *_: print('heard'))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "time.sleep(0.1)\n"
    )
    calls = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (calls.returncode, calls.stdout) == (0, "heard\n")


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_openvino_gives_one_answer_for_images_alone_and_together(threads):
    pytest.importorskip("openvino")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    compute = opened("openvino", exported(network, torch.zeros(1, 3, 8, 8)), threads)
    images = torch.rand(7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    first = compute(images[:1])
    for count in (7, 2, 5, 1):
        [found] = compute(images[:count])
        torch.testing.assert_close(found, network(images[:count]))
        torch.testing.assert_close(found[:1], first[0], rtol=0, atol=0)
    assert first[0].shape == (1, 4, 6, 6)  # no later answer has taken its place
    torch.testing.assert_close(first[0], compute(images[:1])[0], rtol=0, atol=0)
