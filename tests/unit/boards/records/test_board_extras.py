from __future__ import annotations

import base64
import json
import lzma
import re
from dataclasses import replace
from pathlib import Path

import pytest

from adbench import DataError, StorageError
from adbench.boards.publish import Renderers, build, check
from adbench.boards.records.board_extras import BoardExtras, attach, read_extras
from adbench.boards.records.manifest import Manifest
from adbench.boards.records.pictures import Pictures, photograph_name
from adbench.boards.records.records_io import FoundRecord, read_run
from adbench.builtin.reports import Csv, Markdown
from adbench.engine.evaluate.details import Curves, Details, ImageDetail, parse_details, write_details
from adbench.engine.evaluate.threshold import Threshold
from adbench.engine.store.record import canonical_json

RENDERERS = Renderers(Markdown(), Csv())
WEBP = "data:image/webp;base64,UklGRiQAAABXRUJQVlA4IBgAAABQAQCdASoEAAQAB0CWJaQABHQAAAAAAAA="
PHOTOGRAPH = base64.b64decode(WEBP.partition(",")[2])


@pytest.fixture
def root(tmp_path):
    return tmp_path / "leaderboards"


def details(record_id, score=0.5):
    images = [{"id": f"a/test/good/{number}", "defect": "good", "score": score} for number in range(10)]
    return Details.model_validate({"id": record_id, "images": images, "by_defect": {}, "curves": {}})


def with_details(folder, score=0.5):
    write_details(folder, details(read_run(folder).record.id, score))
    return folder


def lines(root, kind):
    return [
        json.loads(line)
        for file in sorted(root.glob(f"*/*/{kind}/*.jsonl.xz"))
        for line in lzma.decompress(file.read_bytes()).decode().splitlines()
    ]


def test_details_of_runs_come_along_and_stay(make_run, root):
    runs = [with_details(make_run(category=name)) for name in ("b", "a")]
    make_run(category="c")
    assert build([runs[0].parent], root, RENDERERS).problems == []
    assert [line["id"] for line in lines(root, "details")] == [read_run(runs[index]).record.id for index in (1, 0)]
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    build([], root, RENDERERS)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert check(root, RENDERERS).problems == []


def test_details_go_with_their_record(make_run, root):
    run = with_details(make_run())
    build([run], root, RENDERERS)
    make_run(images="others", started="2027-01-01T00:00:00+00:00")
    build([run.parent], root, RENDERERS, replacing=True)
    assert lines(root, "details") == []
    assert not list(root.glob("*/*/details/*"))
    assert check(root, RENDERERS).problems == []


def test_details_of_another_run_are_refused(make_run, root):
    run = make_run()
    write_details(run, details("0" * 64))
    (problem,) = build([run], root, RENDERERS).problems
    assert "details.json: of another run" in problem
    assert lines(root, "details") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda text: text.replace('"score":0.5', '"score":0.6'), "index.html: not what the records say"),
        (lambda text: text.replace('"score":0.5', '"score":0.6'), ":1: not what came with record"),
        (lambda text: text.replace('"by_defect":{}', '"by_defect":{},"id":"' + "0" * 64 + '"'), "does not belong here"),
        (lambda text: "{}\n" + text, ":1: belongs to no record"),
    ],
)
def test_details_that_were_edited(make_run, root, edit, said):
    build([with_details(make_run())], root, RENDERERS)
    (file,) = root.glob("*/*/details/*.jsonl.xz")
    file.write_bytes(lzma.compress(edit(lzma.decompress(file.read_bytes()).decode()).encode()))
    assert any(said in problem for problem in check(root, RENDERERS).problems)


def test_details_of_older_boards_are_read_and_compressed_by_the_next_build(make_run, root):
    build([with_details(make_run())], root, RENDERERS)
    (file,) = root.glob("*/*/details/*.jsonl.xz")
    page = root / "demo/full-shot/index.html"
    before = page.read_bytes()
    older = file.with_suffix("")
    older.write_bytes(lzma.decompress(file.read_bytes()))
    file.unlink()
    problems = check(root, RENDERERS).problems
    assert [problem.partition(":")[0] for problem in problems] == [str(file), str(older)]
    assert build([], root, RENDERERS).problems == []
    assert (file.exists(), older.exists(), page.read_bytes()) == (True, False, before)


def test_both_files_may_be_there_where_a_build_was_stopped(make_run, root):
    build([with_details(make_run())], root, RENDERERS)
    (file,) = root.glob("*/*/details/*.jsonl.xz")
    file.with_suffix("").write_bytes(lzma.decompress(file.read_bytes()))
    assert build([], root, RENDERERS).problems == []
    assert not file.with_suffix("").exists()


def test_another_compression_of_the_same_details_is_the_same_file(make_run, root):
    build([with_details(make_run())], root, RENDERERS)
    (file,) = root.glob("*/*/details/*.jsonl.xz")
    other = lzma.compress(lzma.decompress(file.read_bytes()), preset=0)
    assert other != file.read_bytes()
    file.write_bytes(other)
    assert check(root, RENDERERS).problems == []
    build([], root, RENDERERS)
    assert file.read_bytes() == other


def test_a_file_of_details_that_cannot_be_read_is_named(root, tmp_path):
    (tmp_path / "details").mkdir()
    (tmp_path / "details" / "x.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(StorageError, match=r"x\.jsonl.*repair or remove"):
        read_extras(tmp_path, Manifest())


def test_pictures_are_made_once_and_of_the_first_seed(make_run, root):
    runs = [make_run(seed=seed) for seed in (1, 0)]
    made = []

    def gallery(folder, record):
        made.append((folder, record.task.seed))
        return {"a/test/good/0": (PHOTOGRAPH, PHOTOGRAPH, "M0 0 L9 9 Z")}

    renderers = replace(RENDERERS, gallery=gallery)
    for _ in range(2):
        assert build([runs[0].parent], root, renderers).problems == []
    assert made == [(runs[1], 0)]
    (line,) = lines(root, "pictures")
    name = photograph_name(PHOTOGRAPH)
    assert line["pictures"] == {"a/test/good/0": {"photograph": name, "heat": WEBP, "outline": "M0 0 L9 9 Z"}}
    assert (root / "demo/full-shot/pictures" / name).read_bytes() == PHOTOGRAPH
    assert check(root, RENDERERS).problems == []


@pytest.fixture
def pictured(make_run, root):
    """A board with a picture, the photograph's file and the page."""
    run = with_details(make_run())
    drawn = {"a/test/good/0": (PHOTOGRAPH, PHOTOGRAPH, "")}
    assert build([run], root, replace(RENDERERS, gallery=lambda *_: drawn)).problems == []
    board = root / "demo/full-shot"
    return board / "pictures" / photograph_name(PHOTOGRAPH), board / "index.html"


def test_a_page_links_to_photographs_or_holds_them(pictured, root):
    photograph, page = pictured
    assert f'"photographs":["pictures/{photograph.name}"]' in page.read_text()
    assert build([], root, replace(RENDERERS, single_file=True)).problems == []
    assert f'"photographs":["{WEBP}"]' in page.read_text()
    assert photograph.name not in page.read_text().partition('"shared":')[2]
    assert check(root, replace(RENDERERS, single_file=True)).problems == []


def test_a_photograph_that_was_edited_is_named_and_not_shown(pictured, root):
    photograph, page = pictured
    photograph.write_bytes(PHOTOGRAPH + b"x")
    problems = check(root, RENDERERS).problems
    assert any("not the photograph that its name says" in problem for problem in problems)
    assert any("is not there; take it from the repository again" in problem for problem in problems)
    build([], root, RENDERERS)
    assert photograph.name not in page.read_text()


def test_a_photograph_that_no_picture_refers_to_does_not_stay(pictured, root):
    photograph, _ = pictured
    other = photograph.with_name(photograph_name(b"other"))
    other.write_bytes(b"other")
    assert f"{other}: does not belong here; run 'adbench board build'" in check(root, RENDERERS).problems
    build([], root, RENDERERS)
    assert not other.exists()
    assert photograph.exists()


def test_a_gallery_that_cannot_be_drawn_is_named(make_run, root):
    def gallery(folder, record):
        raise DataError("the images are gone")

    assert build([make_run()], root, replace(RENDERERS, gallery=gallery)).problems == ["the images are gone"]
    assert lines(root, "pictures") == []


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/x.png",
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:image/svg+xml;base64,PHN2Zz4=",
        'data:image/webp;base64,"onerror=x',
        "javascript:alert(1)",
        f"data:image/webp;base64,{'A' * 70_000}",
    ],
)
def test_a_picture_is_a_picture_and_small(address):
    record_id = "0" * 64
    extras = BoardExtras(pictures={record_id: json.dumps({"schema": 1, "id": record_id, "pictures": {"x": address}})})
    assert extras.pictures_of(record_id) == {}
    assert "pictures of record 000000000000" in extras.problems[0]


@pytest.mark.parametrize(
    "change",
    [
        {"photograph": "../../secret.webp"},
        {"photograph": "https://example.org/x.webp"},
        {"heat": "https://example.org/x.webp"},
        {"heat": "data:image/webp;base64,AAAA"},
        {"outline": 'M0 0" onload="alert(1)'},
        {"outline": "M0 0 " + "L1 1 " * 4000},
        {"more": 1},
    ],
)
def test_a_layered_picture_is_one_and_small(change):
    record_id, name = "0" * 64, photograph_name(PHOTOGRAPH)
    picture = {"photograph": name, "heat": WEBP, "outline": "M0 0 L9 9 Z"}

    def shown(one):
        line = json.dumps({"schema": 1, "id": record_id, "pictures": {"x": one}})
        extras = BoardExtras(pictures={record_id: line}, photographs={name: PHOTOGRAPH})
        return extras.pictures_of(record_id), extras.problems

    assert shown(picture)[1] == []
    assert shown(picture | change)[0] == {}
    assert "pictures of record 000000000000" in shown(picture | change)[1][0]


def test_pictures_of_another_record_are_not_shown():
    line = Pictures(id="1" * 64, pictures={"x": WEBP}).to_line()
    assert BoardExtras(pictures={"0" * 64: line}).pictures_of("0" * 64) == {}
    assert BoardExtras(pictures={"1" * 64: line}).pictures_of("1" * 64) == {"x": WEBP}


def test_runs_that_no_record_of_the_board_came_from_give_nothing(make_run):
    run = with_details(make_run())
    extras = BoardExtras()
    attach(extras, [], [read_run(run)], None)
    assert extras == BoardExtras()


def test_curves_and_points_stay_for_the_seed_that_a_page_shows(make_record):
    records = [make_record(category=name, seed=seed) for name in ("a", "b") for seed in (1, 2, 3)]
    made = {
        record.id: Details(
            id=record.id,
            images=[ImageDetail(id="x", defect="good", score=0.5)],
            by_defect={},
            curves=Curves(roc=[(0, 0), (1, 1)]),
            embedding=[(0.5, 0.5)],
        )
        for record in records[1:]
    }
    bad = records[-1].id
    extras = BoardExtras(details={key: canonical_json(each.to_json()) for key, each in made.items()} | {bad: "["})
    found = [FoundRecord(record, "here") for record in records]
    for _ in range(2):
        attach(extras, found, [], None)
        kept = {key: parse_details(line, "here") for key, line in extras.details.items() if key != bad}
        drawn = [key for key, each in kept.items() if each.embedding and each.curves.roc]
        assert drawn == [records[1].id, records[3].id], "seed 1 of a has no details"
        assert all(each.images == made[key].images for key, each in kept.items())
        assert extras.details[bad] == "["


def test_this_repository_shows_the_demo_s_images_only():
    shipped = Path(__file__).parents[4] / "leaderboards"
    assert {path.relative_to(shipped).parts[0] for path in shipped.glob("*/*/pictures")} <= {"demo"}
    pages = {page: page.read_text(encoding="utf-8") for page in shipped.glob("[!d]*/*/index.html")}
    assert [page for page, text in pages.items() if re.search(r"data:image/(?!svg)", text)] == []  # the icon is an SVG


def line_of(record_id, found):
    images = [ImageDetail(id=',"threshold":{"x":1}', defect="good", score=1.0)]
    made = None if found is None else found.model_dump(mode="json")
    details = Details(id=record_id, images=images, by_defect={}, curves=Curves(), threshold=made)
    return canonical_json(details.to_json())


def test_thresholds_are_read_from_the_end_of_a_line():
    figures = {"precision": 0.9, "recall": 0.7, "f1": 0.8, "fpr": 0.1, "oracle_f1": 0.95, "oracle_gap": 0.15}
    found = Threshold(**figures, method="sigma", k=3.0, source="held-out 20 %", normals=40, value=1.5)
    extras = BoardExtras(details={"a" * 64: line_of("a" * 64, found), "b" * 64: line_of("b" * 64, None)})
    assert extras.thresholds() == {"a" * 64: found}
    assert extras.problems == []


@pytest.mark.parametrize("value", ["3", '{"method":"best"}', '{"f1":2}', "[", '"' + "x" * 99 + '"'])
def test_a_strangers_threshold_is_named_and_left_out(value):
    extras = BoardExtras(details={"c" * 64: '{"schema":1,"threshold":' + value + "}"})
    assert extras.thresholds() == {}
    assert len(extras.problems) == 1
    assert "cccccccccccc" in extras.problems[0]
