"""``adbench cache``: what it shows and deletes beside the features."""

from __future__ import annotations

import pytest

from adbench.cli import call

KINDS = {"runtimes": "exported networks", "tuned": "tuned networks", "training": "stopped trainings", "masks": "masks"}


@pytest.mark.parametrize("folder", KINDS)
def test_every_kind_of_file_is_counted_and_cleared(folder, tmp_path, capsys):
    file = tmp_path / folder / "autoencoder" / "kept.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(3 << 20))
    assert call(["cache", "info", "--cache", str(tmp_path)]) == 0
    assert f"{KINDS[folder]}: 3 MB" in " ".join(capsys.readouterr().out.split())
    assert call(["cache", "clear", "--cache", str(tmp_path)]) == 0
    assert "3 MB freed" in capsys.readouterr().out
    assert not file.exists()
