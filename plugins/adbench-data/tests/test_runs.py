"""Whole commands on the sets."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import tarfile
import threading
from dataclasses import replace

import pytest
from adbench_data import every_dataset
from adbench_data.sets.real_iad import RealIad
from adbench_data.sets.visa import Visa
from click.testing import CliRunner

from adbench.cli import call

TOYS = ("--backbone", "toy-pixels", "--scorer", "toy-nearest")


@pytest.mark.slow
def test_mvtec_loco_is_measured_by_spro_logical_and_structural_apart(bench, drawn):
    done = bench.run("--data", f"mvtec-loco:root={drawn('mvtec-loco')},partial=true", *TOYS)
    assert done.code == 0, done.err
    for record in done.records:
        assert record.task.dataset == "mvtec-loco-partial-true"
        assert 0 <= record.metrics["pixel-spro-05"].value <= 1
    (folder, *_) = sorted(path.parent for path in done.folder.rglob("record.json"))
    by_defect = json.loads((folder / "details.json").read_text())["by_defect"]
    assert set(by_defect) == {"logical_anomalies", "structural_anomalies"}
    assert all({"image-auroc", "pixel-spro-05"} <= set(figures) for figures in by_defect.values())


@pytest.mark.slow
def test_mvtec_loco_on_a_coarser_grid(bench, drawn):
    done = bench.run("--data", f"mvtec-loco:root={drawn('mvtec-loco')},partial=true", *TOYS, "--evaluation", "6")
    assert done.code == 0, done.err
    assert all(record.metrics["pixel-spro-05"].value is not None for record in done.records)


@pytest.mark.slow
def test_mvtec_ad_2_is_measured_by_seg_f1(bench, drawn):
    data = f"mvtec-ad-2:root={drawn('mvtec-ad-2')},partial=true"
    done = bench.run("--data", data, *TOYS, "--threshold", "quantile")
    assert done.code == 0, done.err
    assert all(0 <= record.metrics["pixel-seg-f1"].value <= 1 for record in done.records)


@pytest.mark.slow
def test_other_sets_are_not_measured_by_spro(bench, drawn):
    done = bench.run("--data", f"btad:root={drawn('btad')},partial=true", *TOYS)
    assert done.code == 0, done.err
    assert all("pixel-spro-05" not in record.metrics for record in done.records)


@pytest.mark.slow
@pytest.mark.parametrize("name", [cls.name for cls in every_dataset() if cls.name not in {"manifest", "elpv"}])
def test_a_set_that_is_here_in_part_says_so(bench, drawn, name):
    (cls,) = [cls for cls in every_dataset() if cls.name == name]
    done = bench.run("--data", f"{name}:root={drawn(name)}", *TOYS)
    if cls.published or cls.sizes:
        assert done.code == 1
        assert "were published; unpack the archive again" in done.err
    else:
        assert done.code == 0, done.err


@pytest.fixture
def server(tmp_path):
    """Serves a folder from this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    quiet = type("Quiet", (handler.func,), {"log_message": lambda *arguments: None})
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder)))
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join()


def test_visa_is_fetched_checked_and_unpacked(server, drawn, tmp_path, monkeypatch):
    from adbench.cli.commands.data import command

    folder, address = server
    with tarfile.open(folder / "VisA_20220922.tar", "w") as tar:
        for part in sorted(drawn("visa").iterdir()):
            tar.add(part, arcname=part.name)
    sha256 = hashlib.sha256((folder / "VisA_20220922.tar").read_bytes()).hexdigest()
    monkeypatch.setattr(Visa, "source", replace(Visa.source, url=f"{address}/VisA_20220922.tar", sha256=sha256))
    result = CliRunner().invoke(
        command, ["get", "visa", "--root", str(tmp_path / "here"), "--accept-licence"], standalone_mode=False
    )
    assert result.exception is None, result.exception
    assert "CC BY 4.0" in result.output
    assert Visa(root=tmp_path / "here", partial=True).categories() == ["candle", "pcb1"]
    monkeypatch.setattr(Visa, "source", replace(Visa.source, sha256="0" * 64))
    result = CliRunner().invoke(
        command, ["get", "visa", "--root", str(tmp_path / "again"), "--accept-licence"], standalone_mode=False
    )
    assert "is not the archive that is known" in str(result.exception)
    assert not (tmp_path / "again").exists()


def test_get_of_a_set_that_no_program_may_download_says_how(tmp_path):
    from adbench.cli.commands.data import command

    for name, how in (
        ("real-iad", "ask for it at"),
        ("mpdd", "by hand: download it from"),
        ("elpv", "install it with 'pip install"),
    ):
        result = CliRunner().invoke(command, ["get", name], standalone_mode=False)
        assert f"cannot be downloaded by adbench; {how}" in str(result.exception)


@pytest.mark.slow
def test_real_iad_is_measured_by_its_samples_too(bench, drawn):
    done = bench.run("--data", f"real-iad:root={drawn('real-iad')},partial=true", *TOYS)
    assert done.code == 0, done.err
    for record in done.records:
        assert 0 <= record.metrics["sample-auroc"].value <= 1
    assert call(["evaluate", str(done.folder)]) == 0, "the same figures again"
    assert call(["board", "build", str(done.folder), "--out", str(done.folder.parent / "boards")]) == 0
    others = bench.run("--data", f"btad:root={drawn('btad')},partial=true", *TOYS)
    assert all(
        "sample-auroc" not in record.metrics
        for record in others.records
        if record.task.dataset != "real-iad-partial-true"
    )


def test_views_of_a_piece_are_one_specimen(drawn):
    dataset = RealIad(root=drawn("real-iad"), partial=True)
    names = [dataset.specimen(sample) for sample in dataset.split("zipper").test]
    assert sorted(names) == [
        "realiad_1024/zipper/NG/AK/S0001",
        "realiad_1024/zipper/NG/AK/S0001",
        "realiad_1024/zipper/OK/S0002",
    ]


@pytest.mark.slow
def test_modalities_are_run_apart_and_fused(bench, drawn, tmp_path, capsys):
    root, tables = drawn("mvtec-3d"), []
    for modality in ("rgb", "normals"):
        data = f"mvtec-3d:root={root},partial=true,modality={modality}"
        where = tmp_path / modality
        arguments = ["--out", str(where), "--threshold", "quantile", "--no-figures", "--category", "tire", "--save"]
        assert call(["run", *TOYS, "--device", "cpu", "--data", data, *arguments]) == 0
        tables.append(capsys.readouterr())
    assert "ignores other pixels in each image" in tables[1].err
    assert "no detector" not in tables[0].err
    assert call(["fuse", str(tmp_path / "rgb"), str(tmp_path / "normals"), "--alpha", "0.9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["category"], found["normals"], found["defective"]) == ("tire", 2, 2)
    assert set(found["image_auroc"]) == {"rgb", "normals", "sum", "max"}


@pytest.mark.slow
def test_maps_of_colour_and_depth_are_fused_and_those_of_two_cameras_are_not(bench, drawn, capsys):
    """MVTec 3D-AD's images show the same places; the masks of MulSen-AD's two cameras do not."""

    def fused(name, rest, *modalities):
        data = f"{name}:root={drawn(name)},partial=true{rest}"
        folders = []
        for modality in modalities:
            done = bench.run("--data", f"{data},modality={modality}", *TOYS, "--threshold", "quantile")
            assert done.code == 0, done.err
            (folder,) = {record.parent.parent for record in done.folder.rglob("record.json")}
            folders.append(str(folder.rename(folder.with_name(f"{name}-{modality}"))))
        capsys.readouterr()
        return call(["fuse", *folders, "--maps", "--json"]), capsys.readouterr()

    code, printed = fused("mvtec-3d", "", "rgb", "depth")
    assert code == 0, printed.err
    figures = json.loads(printed.out.splitlines()[0])["pixels"]
    assert {"sum", "max"} < set(figures)
    assert all(0 <= figures[how]["pixel-auroc"] <= 1 for how in ("sum", "max"))
    code, printed = fused("mulsen-ad", ",labels=any", "rgb", "infrared")
    assert code == 2
    assert "their pixels are not the same places" in printed.err
