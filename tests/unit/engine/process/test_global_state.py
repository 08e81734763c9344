import os
import signal
import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch

from adbench.engine.process.global_state import undisturbed


def seen():
    mask = os.umask(0)
    os.umask(mask)
    modes = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_float32_matmul_precision()
    drawn = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    place = os.getcwd(), mask, dict(os.environ), sys.getrecursionlimit(), list(warnings.filters)  # noqa: PTH109
    return place, modes, drawn, np.geterr(), signal.getsignal(signal.SIGUSR1), (sys.stdout, sys.stderr)


@pytest.mark.parametrize(
    "change",
    [
        lambda: os.chdir("/"),
        lambda: os.umask(0o777),
        lambda: os.environ.update(PATH="/", NEW="1"),
        os.environ.clear,
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_grad_enabled(False),
        lambda: torch.set_float32_matmul_precision("medium"),
        lambda: torch.manual_seed(0),
        lambda: np.random.seed(0),
        lambda: np.seterr(all="raise"),
        lambda: sys.setrecursionlimit(12345),
        lambda: warnings.simplefilter("always"),
        warnings.resetwarnings,
        lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
        lambda: setattr(sys, "stdout", None),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_what_is_changed_is_put_back(change, fails):
    before = seen()
    with suppress(KeyError), undisturbed():
        change()
        assert seen() != before or sys.stdout is None
        _ = {}["fails"] if fails else None
    assert seen() == before


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_closed_and_led_away_streams_come_back(capfd, number, elsewhere):
    with undisturbed():
        if elsewhere:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)
        else:
            os.close(number)
    os.write(number, b"heard")
    assert "heard" in capfd.readouterr()


def test_it_leaves_no_file_open():
    with undisturbed():
        pass
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH208, PTH112
    for _ in range(10):
        with undisturbed():
            pass
    assert not before or len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_working_folder_that_is_gone_hurts_nobody(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with undisturbed():
        os.environ["HOSTILE"] = "1"
    assert "HOSTILE" not in os.environ
