from __future__ import annotations

import subprocess
import sys

import pytest


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
