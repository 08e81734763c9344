"""Tables of one's own images, and those that somebody else has written."""

from __future__ import annotations

import json

import pytest
from adbench_data import texts
from adbench_data.sets.manifest import ManifestDataset

from adbench import DataError

HEAD = "image,split,label,mask,category\n"


def written(table, *rows: str, head: str = HEAD) -> ManifestDataset:
    table.write_text(head + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return ManifestDataset(file=table)


def test_a_table_says_what_images_are(table):
    found = ManifestDataset(file=table)
    assert found.categories() == ["bolt", "nut"]
    split = found.split("nut")
    assert [sample.id for sample in split.test] == [
        "nut/test/deep crack/line 0/nut_4",
        "nut/test/deep crack/line 1/nut_5",
        "nut/test/good/line 1/nut_3",
    ]
    assert len(split.train) == 3
    assert found.mask(split.test[0]).sum() == 12
    assert found.board_name == "parts"
    assert ManifestDataset(file=table, called="screws").board_name == "screws"
    assert found.survey("nut").labels == "train: 3 normal; test: 1 normal; deep crack 2 defective"


def test_other_separators_spellings_and_a_mark_of_the_byte_order(table):
    text = table.read_text().replace(",", ";").replace("image;split", "Image;Split")
    table.write_text("\ufeff" + text, encoding="utf-8")
    assert len(ManifestDataset(file=table).split("bolt").train) == 3


def test_json_lines_and_a_folder_of_hugging_faces(table):
    rows = [
        {"file_name": "line 0/nut_0.png", "split": "train", "label": 0},
        {"file_name": "line 1/nut_1.png", "split": "", "label": 0},
        {"file_name": "line 1/nut_3.png", "split": "test", "label": False, "mask": None},
        {"file_name": "line 0/nut_4.png", "split": "test", "label": 1, "mask": "masks/nut_4.png"},
    ]
    lines = table.with_name("metadata.jsonl")
    lines.write_text("\n".join(map(json.dumps, rows)))
    split = ManifestDataset(file=lines).split("images")
    assert [sample.defect for sample in split.test] == ["defect", "good"]
    assert len(split.train) == 1


@pytest.mark.parametrize(
    "image",
    [
        "/etc/passwd",
        "C:\\images\\a.png",
        "c:a.png",
        "\\\\server\\a.png",
        "https://example.org/a.png",
        "file:///etc/passwd",
        "s3://bucket/a.png",
        "data:image/png;base64",
        "~/a.png",
        "../a.png",
        "line 0/../../a.png",
        "line 0\\..\\..\\a.png",
        "=HYPERLINK(1)",
        "@SUM(1)",
        "a\x1b[31m.png",
        "a\x00.png",
    ],
)
def test_what_is_no_path_below_the_table_is_refused(table, image):
    with pytest.raises(DataError, match="image 1: the image .* is no path below the table's folder") as caught:
        written(table, f"{image},train,ok,,").categories()
    assert "\x1b" not in str(caught.value)
    with pytest.raises(DataError, match="the mask .* is no path below"):
        written(table, f"line 0/nut_4.png,test,crack,{image},").categories()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (",train,ok,,", "has no image"),
        ("a.png,validate,ok,,", "the split 'validate' is neither train nor test"),
        ("a.png,train,,,", "the label '' is no name"),
        ("a.png,train,=1+1,,", "the label '=1\\+1' is no name"),
        ("a.png,test,a/b,,", "the label 'a/b' is no name"),
        ("a.png,test,-x,,", "the label '-x' is no name"),
        ("a.png,train,ok,,../up", "the category '../up' is no name"),
        ("a.png,train,ok,,..", "the category '..' is no name"),
        ("a.png,train", "row 2: has 2 cells, its head 5"),
        ('"a.png,train,ok,,', "is no table of separated values"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(table, row, problem):
    with pytest.raises(DataError, match=problem):
        written(table, row).categories()


def test_what_a_list_may_not_say_of_its_images(table):
    train, test = "line 0/nut_0.png,train,ok,,nut", "line 1/nut_3.png,test,ok,,nut"
    for rows, problem in (
        ([train, train, test], "listed twice"),
        ([train, test, "line 0/nut_9.png,test,ok,,nut"], r"nut_9\.png"),
        ([train, test.replace("ok,", "ok,masks/nut_4.png")], "is normal and has a mask"),
        ([train, test, "line 0/nut_4.png,train,crack,,nut"], "is defective .* and is to be trained on"),
        ([train], "there is no test image"),
        (
            [train, test, "line 0/nut_4.png,test,crack,masks/nut_9.png,nut"],
            "one of the masks of its list cannot be found, .*correct the list",
        ),
    ):
        with pytest.raises(DataError, match=problem):
            written(table, *rows).split("nut")


def test_two_images_of_one_name_in_several_folders_or_kinds(table, draw):
    draw(table.parent / "line 0/nut_0.jpg")
    rows = ["line 0/nut_0.png,train,ok,,", "line 1/nut_1.png,train,ok,,", "line 1/nut_3.png,test,ok,,"]
    draw(table.parent / "line 1/nut_0.png")
    assert len(written(table, *rows, "line 1/nut_0.png,train,ok,,").split("images").train) == 3
    with pytest.raises(DataError, match="would both be called images/train/good/line 0/nut_0; rename"):
        written(table, *rows, "line 0/nut_0.jpg,train,ok,,").split("images")


@pytest.mark.parametrize("head", ["", "picture,split,label\n", "image;split\n"])
def test_a_table_without_the_columns(table, head):
    with pytest.raises(DataError, match=r"has no column|lists no image|has no image"):
        written(table, "a.png,train,ok", head=head).categories()


@pytest.mark.parametrize("line", ["7", "[1]", '{"image": {"a": 1}}', "{", '{"image": [' + "[" * 10000])
def test_a_line_that_is_no_object(table, line):
    lines = table.with_name("a.jsonl")
    lines.write_text(line + "\n")
    with pytest.raises(DataError, match=r"a\.jsonl, line 1: is no object"):
        ManifestDataset(file=lines).categories()


def test_a_million_rows_are_read_and_more_are_refused(table, monkeypatch):
    monkeypatch.setattr("adbench_data.sets.manifest.MOST", 50)
    rows = [f"a{number}.png,train,ok,," for number in range(50)]
    assert written(table, *rows).categories() == ["images"]
    with pytest.raises(DataError, match="lists more than 50 images"):
        written(table, *rows, "b.png,train,ok,,").categories()
    monkeypatch.setattr(texts, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="larger than 100 bytes"):
        ManifestDataset(file=table).categories()


def test_what_is_no_table(table, tmp_path):
    with pytest.raises(DataError, match="is no file; give the table"):
        ManifestDataset(file=tmp_path).categories()
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no UTF-8 text"):
        ManifestDataset(file=table).categories()


def test_a_link_that_leads_out_is_not_followed(table, tmp_path, draw):
    outside = draw(tmp_path / "secret.png")
    (table.parent / "line 0" / "link.png").symlink_to(outside)
    with pytest.raises(DataError, match="cannot be found"):
        written(table, "line 0/link.png,train,ok,,", "line 1/nut_3.png,test,ok,,").split("images")


@pytest.mark.slow
def test_a_run_on_a_manifest_is_evaluated_again_where_its_images_are(table, bench):
    done = bench.run(
        "--data", f"manifest:file={table},called=parts", "--backbone", "toy-pixels", "--scorer", "toy-nearest"
    )
    assert done.code == 0, done.err
    assert {record.task.dataset for record in done.records} == {"parts"}
