from __future__ import annotations

import lzma
import tracemalloc

import pytest

from adbench import StorageError
from adbench.boards.records.line_files import is_line_file, line_files, pack_lines, packed_name, read_line_file
from adbench.boards.records.records_io import read_lines


def test_a_text_is_the_same_packed_or_plain(tmp_path):
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.xz"
    plain.write_text("{}\né\n", encoding="utf-8")
    packed.write_bytes(pack_lines(plain.read_bytes()))
    (tmp_path / "a.txt").write_text("no lines")
    assert list(line_files(tmp_path)) == [plain, packed]
    assert read_line_file(plain, "lines") == read_line_file(packed, "lines") == "{}\né\n"


@pytest.mark.parametrize(
    ("name", "packed"), [("a.jsonl", "a.jsonl.xz"), ("a.jsonl.xz", "a.jsonl.xz"), ("x.jsonl.jsonl", "x.jsonl.jsonl.xz")]
)
def test_names(tmp_path, name, packed):
    assert packed_name(name) == packed
    assert is_line_file(tmp_path / name)
    assert not is_line_file(tmp_path / f"{name}.txt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}\n", "no whole xz file"),
        (lzma.compress(b"{}\n" * 99)[:-9], "no whole xz file: it ends too early"),
        (lzma.compress(b"\xff"), "no UTF-8 text"),
        (lzma.compress(b"{}\n") + b"more", "goes on behind its end"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, content, said):
    (tmp_path / "a.jsonl.xz").write_bytes(content)
    with pytest.raises(StorageError, match=said) as error:
        list(read_lines(tmp_path / "a.jsonl.xz"))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_bomb_of_records_is_refused_in_bounded_memory(tmp_path):
    file = tmp_path / "a.jsonl.xz"
    file.write_bytes(lzma.compress(bytes(200 << 20), preset=0))
    tracemalloc.start()
    with pytest.raises(StorageError, match="larger than 64 MiB; this is not a file of records"):
        list(read_lines(file))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 << 20
