from __future__ import annotations

import json
import lzma
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adbench import StorageError
from adbench.boards import publish
from adbench.boards.page import html
from adbench.boards.page.asset_files import Asset
from adbench.boards.publish import GENERATED, Renderers, build, check
from adbench.boards.records.installed import BoardFacts
from adbench.boards.records.line_files import read_line_file
from adbench.boards.records.records_io import to_line
from adbench.builtin.reports import Csv, Markdown

RENDERERS = Renderers(Markdown(), Csv())
SINGLE = replace(RENDERERS, single_file=True)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "leaderboards"


def tree(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_runs_become_a_board(make_run, root):
    runs = [make_run("knn", seed=seed).parent for seed in (0, 1)][:1]
    make_run("other", auroc=0.8, seed=0)
    outcome = build(runs, root, RENDERERS)
    assert outcome.problems == []
    assert len(outcome.news) == 1
    assert "created" in outcome.news[0]
    names = list(tree(root))
    assert [name.split("-")[0] for name in names[1:5]] == ["assets/board", "assets/index", "assets/page", "assets/plot"]
    assert [names[0], *names[5:7]] == ["README.md", "demo/full-shot/README.md", "demo/full-shot/board.yaml"]
    records = [name for name in names if name.endswith(".jsonl.xz")]
    assert [name.split("/")[-1].rsplit("-", 1)[0] for name in records] == ["knn", "other"]
    assert names[-2:] == ["demo/full-shot/table.csv", "index.html"]
    page = (root / "demo/full-shot/README.md").read_text(encoding="utf-8")
    assert page.startswith(GENERATED)
    assert "| 1 | knn | 90.0 ± 0.0 |" in page
    assert "[demo/full-shot](demo/full-shot/README.md)" in (root / "README.md").read_text(encoding="utf-8")


def test_records_are_canonical_sorted_lines(make_run, make_record, root):
    asked = [("b", 0), ("a", 1), ("a", 0)]
    for category, seed in asked:
        make_run(category=category, seed=seed)
    build([root.parent / "runs"], root, RENDERERS)
    (file,) = (root / "demo/full-shot/records").iterdir()
    expected = "".join(to_line(make_record(category=category, seed=seed)) + "\n" for category, seed in sorted(asked))
    assert read_line_file(file, "records") == expected


def test_building_again_changes_nothing_and_checks_out(make_run, root):
    make_run()
    make_run(category="cable", status="failed")
    build([root.parent / "runs"], root, RENDERERS)
    before = tree(root)
    assert build([root.parent / "runs"], root, RENDERERS).news == []
    assert build([], root, RENDERERS).problems == []
    assert tree(root) == before
    assert check(root, RENDERERS).problems == []


def test_the_order_of_runs_does_not_matter(make_run, root, tmp_path):
    runs = [make_run(name, category=category) for name in ("x", "y") for category in ("a", "b")]
    build(runs, root, RENDERERS)
    build(runs[::-1], tmp_path / "again", RENDERERS)
    assert tree(root) == tree(tmp_path / "again")


def test_new_records_join_those_that_are_there(make_run, root):
    build([make_run()], root, RENDERERS)
    build([make_run(category="cable")], root, RENDERERS)
    (file,) = (root / "demo/full-shot/records").iterdir()
    assert len(read_line_file(file, "records").splitlines()) == 2
    assert check(root, RENDERERS).problems == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "index.html", "assets/plot-*.js", "assets/board-*.js", "assets/index-*.js", "assets/page-*.css"),
        *(f"demo/full-shot/{name}" for name in ("README.md", "index.html", "table.csv")),
    ],
)
def test_check_finds_every_edit(make_run, root, name):
    build([make_run()], root, RENDERERS)
    (path,) = root.glob(name)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n", 1))
    problems = check(root, RENDERERS).problems
    assert len(problems) == 1
    assert str(path) in problems[0]
    build([], root, RENDERERS)
    assert check(root, RENDERERS).problems == []


def test_check_finds_what_is_missing_and_what_is_too_much(make_run, root):
    build([make_run()], root, RENDERERS)
    (file,) = (root / "demo/full-shot/records").iterdir()
    file.rename(file.with_name("another.jsonl.xz"))
    (root / "demo/full-shot/table.csv").unlink()
    assert len(check(root, RENDERERS).problems) == 3
    build([], root, RENDERERS)
    assert file.exists()
    assert not file.with_name("another.jsonl.xz").exists()


def test_check_finds_an_edited_record(make_run, root):
    build([make_run()], root, RENDERERS)
    (file,) = (root / "demo/full-shot/records").iterdir()
    file.write_bytes(lzma.compress(read_line_file(file, "records").replace("\n", "\n\n").encode()))
    assert [problem.partition(":")[0] for problem in check(root, RENDERERS).problems] == [str(file)]
    build([], root, RENDERERS)
    assert check(root, RENDERERS).problems == []


def plain_records(root):
    """Each file of records as boards of older versions have it, beside the compressed one."""
    for file in root.glob("*/*/records/*.xz"):
        older = file.with_suffix("")
        older.write_bytes(lzma.decompress(file.read_bytes()))
        yield file, older


def test_records_of_older_boards_are_read_and_compressed_by_the_next_build(make_run, root):
    build([make_run(seed=seed) for seed in (0, 1)], root, RENDERERS)
    before = tree(root)
    ((file, older),) = plain_records(root)
    older.write_text(older.read_text(encoding="utf-8") + "{\n", encoding="utf-8")
    file.unlink()
    problems = check(root, RENDERERS).problems
    assert [problem.partition(":")[0] for problem in problems] == [str(older), str(file), str(older)]
    assert all("run 'adbench board build'" in problem for problem in problems[1:])
    assert "1 | knn | 90.0 ± 0.0" in (root / "demo/full-shot/README.md").read_text(encoding="utf-8")
    build([], root, RENDERERS)
    assert read_line_file(file, "records").endswith("}\n{\n"), "the line that is no record is kept"
    file.write_bytes(before[file.relative_to(root).as_posix()])
    assert tree(root) == before


def test_both_files_of_records_may_be_there_where_a_build_was_stopped(make_run, root):
    build([make_run(seed=seed) for seed in (0, 1)], root, RENDERERS)
    before = tree(root)
    assert len(list(plain_records(root))) == 1
    assert build([], root, RENDERERS).problems == []
    assert tree(root) == before


def test_a_bad_run_is_named_and_left_out(make_run, root):
    make_run()
    bad = make_run(category="cable", edit=lambda data: data.pop("id"))
    outcome = build([root.parent / "runs"], root, RENDERERS)
    assert len(outcome.problems) == 1
    assert str(bad) in outcome.problems[0]
    assert check(root, RENDERERS).problems == []


def test_a_bad_line_on_a_board_is_named_and_never_lost(make_run, root):
    build([make_run()], root, RENDERERS)
    (file,) = (root / "demo/full-shot/records").iterdir()
    file.write_bytes(lzma.compress((read_line_file(file, "records") + '{"schema": 3}\n').encode()))
    assert any(f"{file}:2" in problem for problem in check(root, RENDERERS).problems)
    outcome = build([make_run(category="cable")], root, RENDERERS)
    assert any(f"{file}:2" in problem for problem in outcome.problems)
    kept = read_line_file(file, "records").splitlines()
    assert (kept[-1], len(kept)) == ('{"schema": 3}', 3)


def test_a_record_of_another_board_does_not_count(make_run, make_record, root):
    build([make_run()], root, RENDERERS)
    file = root / "demo/full-shot/records/stranger.jsonl.xz"
    file.write_bytes(lzma.compress(to_line(make_record(dataset="mvtec-ad")).encode() + b"\n"))
    problems = check(root, RENDERERS).problems
    assert len(problems) == 1
    assert "not of this board" in problems[0]


def test_disagreement_stops_everything_before_a_byte_is_written(make_run, root):
    build([make_run()], root, RENDERERS)
    before = tree(root)
    with pytest.raises(StorageError, match="same run"):
        build([make_run(auroc=0.5), make_run("new")], root, RENDERERS)
    assert tree(root) == before


def test_a_seed_that_the_board_does_not_have_is_refused(make_run, root):
    build([make_run()], root, RENDERERS)
    outcome = build([make_run(seed=7)], root, RENDERERS)
    assert len(outcome.problems) == 1
    assert "seed 7" in outcome.problems[0]
    assert "board.yaml" in outcome.problems[0]


def test_a_link_that_leaves_the_board_is_not_followed(make_run, root, tmp_path):
    build([make_run()], root, RENDERERS)
    secret = tmp_path / "secret.jsonl"
    secret.write_text("the password\n", encoding="utf-8")
    (root / "demo/full-shot/records/link.jsonl").symlink_to(secret)
    outcome = build([], root, RENDERERS)
    assert any("link.jsonl: a link that leaves" in problem for problem in outcome.problems)
    assert not any(b"password" in content for content in tree(root).values())
    assert secret.read_text(encoding="utf-8") == "the password\n"


def test_nothing_is_written_through_a_link(make_run, root, tmp_path):
    build([make_run()], root, RENDERERS)
    records, elsewhere = root / "demo/full-shot/records", tmp_path / "elsewhere"
    shutil.move(records, elsewhere)
    before = tree(elsewhere)
    records.symlink_to(elsewhere)
    with pytest.raises(StorageError, match="leaves"):
        build([make_run("new")], root, RENDERERS)
    assert tree(elsewhere) == before


def test_published_figures_stand_on_the_page_and_in_no_table_of_ranks(make_run, root):
    build([make_run()], root, RENDERERS)
    (root / "published.yaml").write_text(
        "published: [{method: kNN of a paper, dataset: demo, shots: all, figures: {image-auroc: 99.0},"
        " convention: none, evidence: repository, source: somewhere, recipe: knn, tolerance: {image-auroc: 1.0}}]",
        encoding="utf-8",
    )
    assert check(root, RENDERERS).problems != []
    build([], root, RENDERERS)
    page = (root / "demo/full-shot/README.md").read_text(encoding="utf-8")
    assert "| knn | kNN of a paper (all normal images) | image-auroc | 99.0 | 90.0 | -9.0 | 1.0 | fail | — |" in page
    assert page.index("## Integrity") > page.index("## Published, not measured") > page.index("## Standings")
    assert "kNN of a paper" not in (root / "demo/full-shot/table.csv").read_text(encoding="utf-8")


def test_thresholds_of_runs_stand_on_the_page(make_run, make_record, root):
    run = make_run()
    found = {"method": "sigma", "source": "held-out 20 %", "normals": 40, "k": 3.0, "value": 1.0, "f1": 0.5}
    images = [{"id": f"{number}", "defect": "good", "score": 0.5} for number in range(10)]
    details = {"schema": 1, "id": make_record().id, "images": images, "by_defect": {}, "curves": {}, "threshold": found}
    (run / "details.json").write_text(json.dumps(details), encoding="utf-8")
    build([run], root, RENDERERS)
    assert "## Deployed, mean + 3 sigma" in (root / "demo/full-shot/README.md").read_text(encoding="utf-8")
    assert check(root, RENDERERS).problems == []


def test_names_of_strangers_stay_inside_the_root(make_run, root):
    build([make_run("../../../evil", dataset="../../up/`x`")], root, RENDERERS)
    assert all(path.is_relative_to(root) for path in root.parent.rglob("*evil*"))
    assert len(list(root.glob("up-x-????????/full-shot/records/evil-*.jsonl.xz"))) == 1
    assert check(root, RENDERERS).problems == []


def test_untrusted_text_is_inert_on_the_page(make_run, root):
    build([make_run("<script>alert(1)</script>|=cmd()", category="[x](http://evil)")], root, RENDERERS)
    page = (root).rglob("README.md")
    text = "".join(path.read_text(encoding="utf-8") for path in page)
    assert "<script>" not in text
    assert not re.search(r"(?<!\\)\]\(http", text)
    assert "script&gt;\\|=cmd" in text


def test_one_name_may_have_many_specs(make_run, root):
    build([make_run(k=1), make_run(k=2)], root, RENDERERS)
    assert len(list(root.glob("demo/full-shot/records/knn-*.jsonl.xz"))) == 2


def test_nothing_to_read_is_reported(root, tmp_path):
    with pytest.raises(StorageError, match="holds no run"):
        build([tmp_path / "nowhere"], root, RENDERERS)
    assert not root.exists()
    with pytest.raises(StorageError, match="board build"):
        check(tmp_path / "nowhere", RENDERERS)


def test_a_single_board_is_no_root(make_run, root):
    build([make_run()], root, RENDERERS)
    with pytest.raises(StorageError, match="two levels above"):
        check(root / "demo/full-shot", RENDERERS)


def test_what_cannot_be_written_is_one_sentence(make_run, root):
    run = make_run()
    root.write_text("a file, where a folder should be")
    with pytest.raises(StorageError, match="cannot write"):
        build([run], root, RENDERERS)


def test_a_whole_board_may_be_moved(make_run, root, tmp_path):
    build([make_run()], root, RENDERERS)
    shutil.copytree(root, tmp_path / "elsewhere")
    assert check(tmp_path / "elsewhere", RENDERERS).problems == []


def test_a_check_does_not_look_at_data(make_run, root):
    build([make_run()], root, RENDERERS)
    looked = []
    renderers = replace(
        RENDERERS, known=BoardFacts(duplicates=lambda record: looked.append(record.id) or ["a/test/good/1"])
    )
    assert check(root, renderers).problems == []
    assert looked == []
    build([], root, renderers)
    assert len(looked) == 1
    page = (root / "demo/full-shot/README.md").read_text(encoding="utf-8")
    assert "| no test image is a training image | not a/test/good/1 |" in page
    assert check(root, RENDERERS).problems == []
    build([], root, RENDERERS)
    assert '"duplicates":["a/test/good/1"]' in (root / "demo/full-shot/manifest.json").read_text(encoding="utf-8")


# What pages share


def links_of(page):
    """The files that a page asks its browser for."""
    text = page.read_text(encoding="utf-8")
    return [page.parent / link for link in re.findall(r'<(?:script|link) [^>]*(?:src|href)="((?!data:)[^"]+)"', text)]


def whole(root):
    """Whether each page below the root finds its assets."""
    return all(link.is_file() for page in root.rglob("index.html") for link in links_of(page))


def older(monkeypatch):
    """As another version of adbench: one with another style and other scripts."""
    changed = {
        "style_sheet": Asset("page", ".css", "body { color: black }"),
        "board_script": Asset("board", ".js", "0;"),
    }
    for name, asset in changed.items():
        monkeypatch.setattr(html, name, lambda asset=asset: asset)
    assets = (html.plot_library(), html.index_script(), *changed.values())
    monkeypatch.setattr(publish, "shared_assets", lambda: assets)


def test_pages_of_a_tree_share_one_folder(make_run, root):
    build([make_run(), make_run(dataset="other")], root, RENDERERS)
    pages = sorted(root.rglob("index.html"))
    assert [len(links_of(page)) for page in pages] == [4, 2, 4]
    assert {link.resolve() for page in pages for link in links_of(page)} == set((root / "assets").iterdir())
    assert all(page.stat().st_size < 50_000 for page in pages)


@pytest.mark.slow
@pytest.mark.parametrize("rebuilt", [False, True])
def test_an_interrupted_build_leaves_no_page_without_its_assets(make_run, root, monkeypatch, rebuilt):
    run = make_run()
    if rebuilt:
        with monkeypatch.context() as patch:
            older(patch)
            build([run], root, RENDERERS)
        run = make_run(category="cable")
    written = []

    def stops_after(count):
        def replaced(path, text, **options):
            if len(written) == count:
                raise KeyboardInterrupt
            written.append(path)
            write(path, text, **options)

        return replaced

    write, begun, count = publish.atomic_write, tree(root) if root.exists() else {}, 0
    while True:
        shutil.rmtree(root, ignore_errors=True)
        for name, data in begun.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        written.clear()
        monkeypatch.setattr(publish, "atomic_write", stops_after(count))
        try:
            build([run], root, RENDERERS)
        except KeyboardInterrupt:
            assert whole(root)
            count += 1
        else:
            break
    assert count > 6
    assert check(root, RENDERERS).problems == []


def test_a_build_that_failed_half_way_is_finished_by_the_next(make_run, root, monkeypatch):
    run = make_run()
    with monkeypatch.context() as patch:
        older(patch)
        build([run], root, RENDERERS)
    before = set((root / "assets").iterdir())
    assert check(root, RENDERERS).problems != []
    build([], root, RENDERERS)
    assert check(root, RENDERERS).problems == []
    assert len(before - set((root / "assets").iterdir())) == 2
    assert whole(root)


def test_check_names_assets_that_are_missing_or_of_no_page(make_run, root):
    build([make_run()], root, RENDERERS)
    (style,) = (root / "assets").glob("page-*.css")
    stray = style.rename(style.with_name("page-01234567.css"))
    problems = check(root, RENDERERS).problems
    assert [problem.partition(": ")[::2] for problem in problems] == [
        (str(style), "not what the records say; run 'adbench board build'"),
        (str(stray), "does not belong here; run 'adbench board build'"),
    ]
    build([], root, RENDERERS)
    assert style.exists()
    assert not stray.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logo.png", "board.js", ".draft-x", "page-01234567.css/mine.txt"])
def test_an_untrusted_file_among_the_assets_is_named_and_never_removed(make_run, root, name):
    build([make_run()], root, RENDERERS)
    path = root / "assets" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine", encoding="utf-8")
    for renderers in (RENDERERS, SINGLE):
        build([], root, renderers)
        (problem,) = check(root, renderers).problems
        assert problem == f"{root / 'assets' / name.split('/')[0]}: no file of these pages; move it elsewhere"
        assert path.read_text(encoding="utf-8") == "mine"


def test_single_files_need_no_other(make_run, root):
    build([make_run()], root, RENDERERS)
    build([], root, SINGLE)
    assert not (root / "assets").exists()
    assert [links_of(page) for page in root.rglob("index.html")] == [[], []]
    assert check(root, SINGLE).problems == []
    assert len(check(root, RENDERERS).problems) == 6
    build([], root, RENDERERS)
    problems = check(root, SINGLE).problems
    assert len(problems) == 6
    assert all(problem.endswith("run 'adbench board build --single-file'") for problem in problems)


def test_no_asset_is_written_or_removed_through_a_link(make_run, root, tmp_path):
    build([make_run()], root, RENDERERS)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(root / "assets", elsewhere)
    (elsewhere / "page-01234567.css").write_text("theirs", encoding="utf-8")
    (root / "assets").symlink_to(elsewhere)
    before = tree(elsewhere)
    build([], root, SINGLE)
    assert tree(elsewhere) == before
    next(elsewhere.glob("plot-*.js")).unlink()
    with pytest.raises(StorageError, match="leaves"):
        build([], root, RENDERERS)


def test_methods_on_several_boards_have_an_overall_board(make_run, root):
    for dataset in ("one", "two"):
        make_run("knn", dataset=dataset, auroc=0.9)
        make_run("other", dataset=dataset, auroc=0.8)
    assert build([root.parent / "runs"], root, RENDERERS).problems == []
    readme = (root / "overall/README.md").read_text(encoding="utf-8")
    assert readme.startswith(GENERATED)
    assert "| 1.00 \\[1.0, 1.0\\] | knn | 90.0 \\[90.0, 90.0\\] | 90.0 (1) | 90.0 (1) |" in readme
    assert "[overall](overall/README.md)" in (root / "README.md").read_text(encoding="utf-8")
    assert 'href="overall/index.html"' in (root / "index.html").read_text(encoding="utf-8")
    assert check(root, RENDERERS).problems == []
    (root / "overall/table.csv").write_text("edited", encoding="utf-8")
    (problem,) = check(root, RENDERERS).problems
    assert "overall/table.csv: not what the records say" in problem


def test_an_overall_board_without_methods_is_removed(make_run, root):
    for dataset in ("one", "two"):
        make_run("knn", dataset=dataset)
        make_run("other", dataset=dataset)
    build([root.parent / "runs"], root, RENDERERS)
    (root / "overall/notes.txt").write_text("mine", encoding="utf-8")
    shutil.rmtree(root / "two")
    assert {Path(line.split(":")[0]).name for line in check(root, RENDERERS).problems if "does not belong" in line} == {
        "README.md",
        "index.html",
        "table.csv",
    }
    assert build([], root, RENDERERS).problems == []
    assert [path.name for path in (root / "overall").iterdir()] == ["notes.txt"]


def test_a_folder_of_that_name_that_is_not_ours_stays(make_run, root):
    make_run("knn")
    (root / "overall").mkdir(parents=True)
    (root / "overall/README.md").write_text("mine", encoding="utf-8")
    assert build([root.parent / "runs"], root, RENDERERS).problems == []
    assert check(root, RENDERERS).problems == []
    assert (root / "overall/README.md").read_text(encoding="utf-8") == "mine"
