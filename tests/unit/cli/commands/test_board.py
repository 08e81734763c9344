from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import subprocess
import sys

import pandas as pd
import pytest

from adbench.cli import call
from adbench.cli.commands.board import text_table
from adbench.reports import Table


@pytest.fixture
def at(tmp_path, monkeypatch):
    """The current folder, where `leaderboards` and `runs` are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_build_check_show(at, make_run, capsys):
    make_run()
    make_run("other", auroc=0.95)
    assert call(["board", "build", "runs"]) == 0
    assert "created" in capsys.readouterr().err
    assert call(["board", "check"]) == 0
    assert "all files follow from the records; boards: 1" in capsys.readouterr().out
    assert call(["board", "show"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("other") < shown.index("knn")
    assert "95.0" in shown


def test_single_files_are_built_and_checked_on_request(at, make_run, capsys):
    make_run()
    page = at / "leaderboards/demo/full-shot/index.html"
    assert call(["board", "build", "runs"]) == 0
    shared = page.stat().st_size
    assert len(list((at / "leaderboards/assets").iterdir())) == 4
    assert call(["board", "build", "--single-file"]) == 0
    assert page.stat().st_size > shared + 250_000
    assert not (at / "leaderboards/assets").exists()
    assert call(["board", "check", "--single-file"]) == 0
    capsys.readouterr()
    assert call(["board", "check"]) == 1
    assert "index.html: not what the records say; run 'adbench board build'" in capsys.readouterr().err
    assert call(["board", "build"]) == 0
    assert call(["board", "check"]) == 0


def test_check_fails_after_an_edit(at, make_run, capsys):
    make_run()
    call(["board", "build", "runs"])
    (at / "leaderboards/demo/full-shot/README.md").write_text("better numbers")
    capsys.readouterr()
    assert call(["board", "check", "leaderboards"]) == 1
    assert "README.md: not what the records say" in capsys.readouterr().err


def test_a_bad_record_is_named_and_the_exit_code_says_so(at, make_run, capsys):
    make_run()
    bad = make_run(edit=lambda data: data.update(status="great"))
    assert call(["board", "build", "runs", "--out", "boards"]) == 1
    assert f"error: runs/{bad.name}/record.json" in capsys.readouterr().err
    assert (at / "boards/README.md").is_file()


def test_disagreement_names_both_files(at, make_run, capsys):
    make_run()
    make_run(auroc=0.5)
    assert call(["board", "build", "runs"]) == 1
    message = capsys.readouterr().err
    assert "runs/000/record.json and runs/001/record.json" in message or "runs/001" in message
    assert not (at / "leaderboards").exists()


def test_show_runs_and_a_metric_by_category(at, make_run, capsys):
    make_run(category="bottle")
    make_run(category="cable", status="timeout")
    assert call(["board", "show", "runs"]) == 0
    assert "— 1/2" in capsys.readouterr().out
    assert call(["board", "show", "runs", "--metric", "pixel-auroc"]) == 0
    shown = capsys.readouterr().out
    assert "bottle" in shown
    assert "timeout" in shown


def test_show_a_single_board(at, make_run, capsys):
    make_run()
    call(["board", "build", "runs"])
    capsys.readouterr()
    assert call(["board", "show", "leaderboards/demo/full-shot"]) == 0
    assert "Standings: normal training images" in capsys.readouterr().out


def test_methods_on_several_boards_are_shown_together(at, make_run, capsys):
    for dataset in ("one", "two"):
        make_run("knn", dataset=dataset)
        make_run("other", dataset=dataset, auroc=0.95)
    assert call(["board", "build", "runs"]) == 0
    capsys.readouterr()
    assert call(["board", "overall"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("other") < shown.index("knn")
    assert "95.0 (1)" in shown
    (at / "leaderboards/two/full-shot/board.yaml").unlink()
    assert call(["board", "overall"]) == 1
    assert "no two methods stand on the boards of two data sets" in capsys.readouterr().err


def test_an_unknown_metric_is_corrected(at, make_run, capsys):
    make_run()
    assert call(["board", "show", "runs", "--metric", "image-auroq"]) == 2
    assert "did you mean 'image-auroc'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["show"], ["show", "nowhere"], ["check"], ["build", "nowhere"]])
def test_nothing_there_is_an_error_that_says_what_to_do(at, capsys, arguments):
    assert call(["board", *arguments]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "adbench" in message


def test_markup_of_strangers_is_shown_as_it_is(at, make_run, capsys):
    make_run("[red]knn[/red]", category="[bold]")
    assert call(["board", "show", "runs", "--metric", "image-auroc"]) == 0
    shown = capsys.readouterr().out
    assert "[red]knn[/red]" in shown
    assert "[bold]" in shown


@pytest.mark.slow
def test_show_does_not_import_torch(at, make_run):
    make_run()
    code = (
        "import sys; from adbench.cli import call; call(['board', 'show', 'runs']);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'scipy', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


@pytest.fixture
def painter(monkeypatch):
    """Pictures without a run's predictions: by the folder, the dataset that they were made of."""
    painted = {}

    def gallery(folder, record, dataset):
        painted[folder.name] = dataset.name
        webp = base64.b64decode("UklGRiQAAABXRUJQVlA4IBgAAABQAQCdASoEAAQAB0CWJaQABHQAAAAAAAA=")
        return {"a/test/good/0": (webp, webp, "")}

    monkeypatch.setattr("adbench.engine.pictures.gallery.gallery", gallery)
    return painted


def test_only_images_that_may_be_shown_get_onto_pages(at, make_run, painter):
    make_run(dataset="demo")
    make_run(dataset="mvtec-ad")
    make_run(dataset="my-parts")
    assert call(["board", "build", "runs"]) == 0
    assert painter == {"000": "demo"}
    assert [path.parts[-4] for path in at.rglob("pictures/*.jsonl.xz")] == ["demo"]
    assert call(["board", "check"]) == 0


def test_pictures_of_one_s_own_data_are_asked_for(at, make_run, parts, painter, capsys):
    make_run(dataset="parts")
    assert call(["board", "build", "runs", "--pictures"]) == 1
    assert "its dataset is the folder 'parts'; give its place with --data PATH" in capsys.readouterr().err
    assert call(["board", "build", "runs", "--pictures", "--data", str(parts)]) == 0
    assert painter == {"000": "folder"}


@pytest.mark.slow
def test_a_board_is_built_without_torch(at, make_run):
    make_run()
    code = (
        "import sys; from adbench.cli import call; call(['board', 'build', 'runs']); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def with_labels(folder, bad):
    """Details that call the first images good and the others bad."""
    data = json.loads((folder / "record.json").read_text())
    images = [{"id": f"image/{n}", "defect": "good" if n < bad else "crack", "score": float(n)} for n in range(10)]
    details = {"schema": 1, "id": data["id"], "images": images, "by_defect": {}, "curves": {}}
    (folder / "details.json").write_text(json.dumps(details))


@pytest.mark.parametrize(("auroc", "unverified"), [(1.0, False), (0.9, True)])
def test_image_metrics_follow_from_raw_scores_where_labels_are_known(at, make_run, capsys, auroc, unverified):
    with_labels(make_run(auroc=auroc), 5)
    assert call(["board", "build", "runs"]) == 0
    assert ("image-auroc is 0.9, but 1.0 from its raw scores" in capsys.readouterr().err) == unverified
    assert ("knn, unverified" in (at / "leaderboards/demo/full-shot/table.csv").read_text()) == unverified


@pytest.mark.parametrize(
    ("ids", "message"),
    [(None, "cannot be read"), (["a"], "of 1 images, but the record is of 10")],
)
def test_raw_scores_that_are_none_verify_nothing(at, make_run, raw_scores, capsys, ids, message):
    content = b"no scores" if ids is None else raw_scores(ids, [1.0])
    sha = hashlib.sha256(content).hexdigest()
    folder = make_run(edit=lambda data: data["predictions"].update(sha256=sha))
    next(folder.glob("raw*")).write_bytes(content)
    assert call(["board", "build", "runs"]) == 0
    assert message in capsys.readouterr().err


def test_a_record_is_replaced_on_purpose_only(at, make_run, capsys):
    make_run()
    assert call(["board", "build", "runs"]) == 0
    make_run(images="others", auroc=0.5)
    assert call(["board", "build", "runs"]) == 1
    assert "add --replace" in capsys.readouterr().err
    assert call(["board", "build", "runs", "--replace"]) == 0
    assert "replaced by" in capsys.readouterr().err
    assert call(["board", "check"]) == 0


def test_a_path_with_a_mistake_changes_nothing(at, make_run, capsys):
    make_run()
    assert call(["board", "build", "runs", "rusn"]) == 1
    assert "error: rusn: holds no run" in capsys.readouterr().err
    assert not (at / "leaderboards").exists()


def test_records_are_exported_as_a_table(at, make_run, capsys):
    make_run("=1+1", seed=1)
    assert call(["board", "export", "runs", "--out", "all.csv"]) == 0
    assert "all.csv: 2 rows of 1 record" in capsys.readouterr().out
    frame = pd.read_csv(at / "all.csv")
    assert frame["metric"].tolist() == ["image-auroc", "pixel-auroc"]
    assert frame["method"].unique().tolist() == ["'=1+1"]


@pytest.mark.parametrize(
    ("path", "out", "code", "message"),
    [("runs", "all.xlsx", 2, "as .csv or .parquet"), ("empty", "x.csv", 1, "holds no record")],
)
def test_what_cannot_be_exported_is_named(at, make_run, capsys, path, out, code, message):
    make_run()
    (at / "empty").mkdir()
    assert call(["board", "export", path, "--out", out]) == code
    assert message in capsys.readouterr().err
    assert not (at / out).exists()


def test_a_pipe_gets_tables_of_80_columns_and_wide_ones_get_everything(at, make_run, capsys):
    make_run("a-method-with-a-name-that-is-long", "bottle", 0)
    make_run("knn", "bottle", 0)
    assert call(["board", "show", "runs"]) == 0
    lines = capsys.readouterr().out.split("\n")
    start = lines.index("Standings: normal training images")
    assert max(map(len, lines[start : lines.index("", start)])) <= 80
    assert not any(box in "".join(lines) for box in "┏┃│")
    assert call(["board", "show", "runs", "--wide"]) == 0
    wide = capsys.readouterr().out
    (heading,) = [line for line in wide.split("\n") if line.startswith("method ")]
    assert {"rank", "auroc", "protocol"} <= set(heading.split())


def test_a_board_is_shown_as_csv_and_json(at, make_run, capsys):
    make_run("knn", "bottle", 0)
    assert call(["board", "show", "runs", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["method"] for row in rows] == ["knn"]
    assert call(["board", "show", "runs", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)
    assert tables[1]["rows"][0][:2] == ["1", "knn"]
    assert tables[1]["columns"][:2] == ["rank", "method"]


def test_intervals_are_left_out_unless_asked_for():
    table = Table("Figures", ("rank", "method", "image-auroc"), (("1", "knn [x]", "99.6 ± 0.0 [96.0, 100.0]"),))
    short, shortened = text_table(table, intervals=False)
    assert (short.rows, shortened) == ([["knn [x]", "1", "99.6 ± 0.0"]], True)
    assert text_table(table, intervals=True)[0].rows == [["knn [x]", "1", "99.6 ± 0.0 [96.0, 100.0]"]]


@pytest.mark.slow
def test_a_reader_that_stops_early_ends_the_command_quietly(at, make_run):
    make_run("knn", "bottle", 0)
    command = [sys.executable, "-c", "from adbench.cli import main; main(['board', 'show', 'runs', '--wide'])"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=at) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_a_build_of_nothing_says_what_to_give(tmp_path, capsys):
    assert call(["board", "build", "--out", str(tmp_path / "boards")]) == 1
    assert "no board is there to build again; give a folder of runs" in capsys.readouterr().err


def test_a_folder_without_a_record_is_no_run(tmp_path, capsys):
    assert call(["show", str(tmp_path)]) == 1
    assert "no run, for it has no record.json, and no detector; " in capsys.readouterr().err
