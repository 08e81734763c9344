from __future__ import annotations

import lzma
import os
import tracemalloc

import pytest

from adbench import StorageError
from adbench.api.untrusted import (
    MAX_DEPTH,
    is_there,
    open_plain,
    parse_json,
    parse_yaml,
    read_json,
    read_plain,
    read_xz,
    read_yaml,
    require_shallow,
)


def test_a_file_is_read(tmp_path):
    (tmp_path / "x").write_text("grüße", encoding="utf-8")
    assert read_plain(tmp_path / "x", 7, "a text") == "grüße"
    with pytest.raises(StorageError, match="larger than 6 bytes; this is not a text"):
        read_plain(tmp_path / "x", 6, "a text")


def test_no_more_memory_is_taken_than_there_is_text(tmp_path):
    (tmp_path / "x").write_text("small")
    tracemalloc.start()
    read_plain(tmp_path / "x", 1 << 30, "a text")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("most", [1 << 20, 1 << 30])
def test_a_hole_of_a_terabyte_is_not_read_through(tmp_path, most):
    with (tmp_path / "x").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StorageError, match="larger than"):
        read_plain(tmp_path / "x", 1 << 20, "a text")


def test_what_is_no_file_is_called_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="a pipe, where a text should be"):
        read_plain(tmp_path / "pipe", 1, "a text")
    with pytest.raises(StorageError, match="a folder, where a file should be"):
        open_plain(tmp_path)
    with pytest.raises(StorageError, match="No such file"):
        open_plain(tmp_path / "gone")
    with pytest.raises(StorageError, match="null"):
        open_plain(tmp_path / "a\0b")


def test_a_link_stays_inside(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "x").write_text("x")
    (inside / "near").symlink_to(inside / "x")
    (inside / "far").symlink_to(outside / "x")
    (inside / "gone").symlink_to(outside / "y")
    assert read_plain(inside / "near", 1, "a text", inside) == "x"
    assert read_plain(inside / "far", 1, "a text") == "x"
    with pytest.raises(StorageError, match="a link that leaves its folder"):
        read_plain(inside / "far", 1, "a text", inside)
    assert is_there(inside / "gone")
    assert not is_there(inside / "nothing")


def test_what_is_no_text_is_reported(tmp_path):
    (tmp_path / "x").write_bytes(b"ab\xff")
    with pytest.raises(StorageError, match="cannot decode byte 2"):
        read_plain(tmp_path / "x", 10, "a text")


def nested(depth):
    value: object = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


def test_depth_is_bounded():
    require_shallow(nested(MAX_DEPTH // 2), "here")
    with pytest.raises(StorageError, match="here: nested more than 40 deep"):
        require_shallow(nested(MAX_DEPTH // 2 + 1), "here")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[" * 50 + "]" * 50])
def test_json_that_is_none_is_one_sentence(text):
    with pytest.raises(StorageError, match="here: "):
        parse_json(text, "here")


def test_yaml_says_what_it_says(tmp_path):
    text = "a: &x {b: [1, 2]}\nc: *x\nd: {<<: *x, e: null}\n"
    assert parse_yaml(text, "here", "a thing") == {
        "a": {"b": [1, 2]},
        "c": {"b": [1, 2]},
        "d": {"b": [1, 2], "e": None},
    }
    (tmp_path / "x.yaml").write_text(text)
    assert read_yaml(tmp_path / "x.yaml", "a thing")["c"] == {"b": [1, 2]}
    (tmp_path / "x.json").write_text('{"a": [1]}')
    assert read_json(tmp_path / "x.json", "a thing") == {"a": [1]}


def test_aliases_count_as_what_they_stand_for():
    text = "- &a [1, 2, 3]\n- *a\n- *a\n"  # 1 + 3 * 4
    assert parse_yaml(text, "here", "a thing", nodes=13) == [[1, 2, 3]] * 3
    with pytest.raises(StorageError, match="here: stands for more than 12 values; this is not a thing"):
        parse_yaml(text, "here", "a thing", nodes=12)


def test_aliases_are_as_deep_as_what_they_stand_for():
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60))
    with pytest.raises(StorageError, match="nested more than"):
        parse_yaml(chain, "here", "a thing")


@pytest.mark.parametrize(
    "text", ["&a [*a]", "*a", "- *a\n- &a 1", "a: !!int ''", "a: !!timestamp x", "\x1b", "{a: 1, b"]
)
def test_yaml_that_is_none_is_one_sentence(text):
    with pytest.raises(StorageError, match=r"^here: [^\n]*$"):
        parse_yaml(text, "here", "a thing")


def test_a_compressed_text_is_read_as_far_as_it_may_go(tmp_path):
    file = tmp_path / "x.xz"
    file.write_bytes(lzma.compress("grüße".encode()))
    assert read_xz(file, 7, "a text") == "grüße"
    with pytest.raises(StorageError, match="larger than 6 bytes; this is not a text"):
        read_xz(file, 6, "a text")


@pytest.mark.slow
def test_a_bomb_costs_no_memory(tmp_path):
    file = tmp_path / "x.xz"
    file.write_bytes(lzma.compress(bytes(64 << 20)))
    assert file.stat().st_size < 1 << 15
    tracemalloc.start()
    with pytest.raises(StorageError, match="larger than 8 MiB"):
        read_xz(file, 8 << 20, "a text")
    assert tracemalloc.get_traced_memory()[1] < 24 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda packed: packed[:-5], "it ends too early"),
        (lambda packed: packed + b"more", "it goes on behind its end"),
        (lambda packed: packed[:20] + b"\xff\xff" + packed[22:], "no whole xz file"),
        (lambda packed: b"", "it ends too early"),
        (lambda packed: b"plain text", "no whole xz file"),
        (lambda packed: lzma.compress(b"x" * 9, preset=9), "Memory usage"),
    ],
)
def test_a_damaged_or_greedy_file_is_named(tmp_path, spoil, message):
    file = tmp_path / "x.xz"
    file.write_bytes(spoil(lzma.compress(b"a text that goes on for a while" * 9)))
    with pytest.raises(StorageError, match=rf"x\.xz.*{message}"):
        read_xz(file, 1 << 20, "a text")
