"""The hardware that is measured on, found out without touching a GPU in this process."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ASKED = """
import json, sys, torch
name = torch.cuda.get_device_name(sys.argv[1]) if torch.cuda.is_available() else None
print(json.dumps({"card": name, "cuda": torch.version.cuda}))
"""


def hardware(device: str) -> dict[str, Any]:
    """Names of the card (None where torch sees none), of torch, and of its CUDA."""
    known = {"torch": version("torch")}
    if not device.startswith("cuda"):
        return {**known, "card": processor(), "cuda": None}
    done = subprocess.run([sys.executable, "-c", ASKED, device], capture_output=True, text=True, check=False)
    return {**known, **(json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"card": None})}


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "a CPU")
