"""Archives: written whole or not at all, and nothing that a stranger may put into a zip does harm."""

import io
import zipfile
from contextlib import closing

import pytest

from adbench.detector.store.archive import ArchiveReader, write_archive
from adbench.errors import StorageError


def content(text):
    return lambda entry: entry.write(text)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "one.adbench"
    write_archive(path, {"first.json": content(b"{}"), "files/abc": content(b"12345")})
    return path


def read(path):
    return ArchiveReader(path, "a detector")


def test_what_was_written_is_read(archive, tmp_path):
    reader = read(archive)
    assert reader.names == ["first.json", "files/abc"]
    assert reader.read("files/abc") == b"12345"
    reader.unpack("files/abc", tmp_path / "unpacked")
    assert (tmp_path / "unpacked").read_bytes() == b"12345"
    reader.close()


def test_the_same_entries_are_the_same_bytes(archive, tmp_path):
    write_archive(tmp_path / "two.adbench", {"first.json": content(b"{}"), "files/abc": content(b"12345")})
    assert (tmp_path / "two.adbench").read_bytes() == archive.read_bytes()


def test_a_writer_that_fails_leaves_the_old_file(archive):
    before = archive.read_bytes()

    def fail(_entry):
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        write_archive(archive, {"first.json": content(b"new"), "files/abc": fail})
    assert archive.read_bytes() == before
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_what_is_not_there_or_too_large_is_a_sentence(archive):
    reader = read(archive)
    with pytest.raises(StorageError, match="has no second"):
        reader.read("second")
    with pytest.raises(StorageError, match="5 bytes, more than 4"):
        reader.read("files/abc", 4)
    reader.close()


@pytest.mark.parametrize("size", [0, 1, 10, 50, 100, 150, 200])
def test_a_truncated_file_is_a_sentence(archive, size):
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(StorageError, match="not readable as a detector"):
        read(archive)


def test_a_changed_byte_is_noticed(archive):
    archive.write_bytes(archive.read_bytes().replace(b"12345", b"12346"))
    with closing(read(archive)) as reader, pytest.raises(StorageError, match="CRC"):
        reader.read("files/abc")


def bomb(path, **options):
    with zipfile.ZipFile(path, "w", **options) as made:
        made.writestr("detector.json", b"0" * (50 << 20))


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(tmp_path):
    bomb(tmp_path / "bomb.adbench", compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(StorageError, match="larger than the file"):
        read(tmp_path / "bomb.adbench")


def test_a_compressed_entry_is_refused_however_small(tmp_path):
    with zipfile.ZipFile(tmp_path / "small.adbench", "w", compression=zipfile.ZIP_DEFLATED) as made:
        made.writestr("detector.json", b"{}")
    with pytest.raises(StorageError, match="compressed"):
        read(tmp_path / "small.adbench")


def test_entries_that_share_bytes_are_refused(tmp_path):
    path = tmp_path / "overlapping.adbench"
    write_archive(path, {f"e{number}": content(b"x" * 1000) for number in range(3)})
    data = bytearray(path.read_bytes())
    first = data.find(b"PK\x01\x02")
    sizes = [place for place in range(first, len(data) - 4) if data[place : place + 4] == b"PK\x01\x02"]
    for place in sizes:  # every entry claims 2000 bytes
        data[place + 20 : place + 28] = (2000).to_bytes(4, "little") * 2
    path.write_bytes(bytes(data))
    with pytest.raises(StorageError, match="not readable"):
        read(path)


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/b/c", "UPPER", "sp ace", "x" * 300, ".hidden", "a\\b"])
def test_names_that_are_none_of_ours_are_refused(tmp_path, name):
    path = tmp_path / "names.adbench"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(name, b"")
    with pytest.raises(StorageError, match="not one of a detector"):
        read(path)


def test_two_entries_of_one_name_and_too_many_entries_are_refused(tmp_path):
    path = tmp_path / "twice.adbench"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("one", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("one", b"")
    with pytest.raises(StorageError, match="two of one name"):
        read(path)
    with zipfile.ZipFile(path, "w") as made:
        for number in range(101):
            made.writestr(f"e{number}", b"")
    with pytest.raises(StorageError, match="101 entries"):
        read(path)


def test_what_is_no_zip_is_a_sentence(tmp_path):
    path = tmp_path / "text.adbench"
    path.write_text("hello")
    with pytest.raises(StorageError, match="not readable as a detector"):
        read(path)
    with pytest.raises(StorageError, match="a folder"):
        read(tmp_path)
    with pytest.raises(StorageError, match="there is no such file"):
        read(tmp_path / "none.adbench")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w"):
        pass
    path.write_bytes(buffer.getvalue())
    with closing(read(path)) as reader:
        assert reader.names == []


def test_a_name_that_is_no_text_is_a_sentence_of_ours(tmp_path):
    path = tmp_path / "name.adbench"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("ö", b"")
    path.write_bytes(path.read_bytes().replace("ö".encode(), b"\xff\xff"))
    with pytest.raises(StorageError, match=r"it holds a text that is no UTF-8"):
        read(path)
