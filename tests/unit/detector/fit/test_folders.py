"""Image files of folders, and the sentence on what is left out."""

from pathlib import Path

import pytest

from adbench.detector.fit.folders import files_below, left_out
from adbench.errors import DataError


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "new photographs ü"
    (folder / "box").mkdir(parents=True)
    for name in ("A.JPG", "b.png", "box/c.TIF", "anim.gif", "IMG_1.HEIC", "box/IMG_2.heic", "notes.txt", "Thumbs.db"):
        (folder / name).write_bytes(b"x")
    for hidden in (".DS_Store", "._b.png", ".hidden.gif"):
        (folder / hidden).write_bytes(b"x")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "other").symlink_to(tmp_path)
    return folder


def test_pictures_of_other_kinds_and_links_are_counted(photographs):
    assert [path.relative_to(photographs).as_posix() for path in files_below(photographs)] == [
        "A.JPG",
        "b.png",
        "box/c.TIF",
    ]
    said = left_out(photographs)
    assert said.startswith(
        f"left out of {photographs}: 1 x .gif, 2 x .heic, 1 x link to a folder, 1 x link to nothing;"
    )
    assert "what is read is png, jpg" in said
    assert "1 x .heic" in left_out(photographs, below=False)


def test_nothing_left_out_is_no_sentence(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    assert left_out(tmp_path) == ""


def test_a_folder_of_other_pictures_alone_says_what_they_are(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"x")
    with pytest.raises(DataError, match=r"holds no image \(png, .*; left out of .*: 1 x \.heic"):
        files_below(tmp_path)


def test_a_link_to_where_nobody_may_look_is_left_out(photographs, monkeypatch):
    (photographs / "locked.png").symlink_to(photographs / "b.png")
    for name in ("is_dir", "is_file"):
        real = getattr(Path, name)

        def asked(path, real=real):
            if path.name == "locked.png":
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        monkeypatch.setattr(Path, name, asked)
    assert "locked.png" not in [path.name for path in files_below(photographs)]
    assert "1 x link to what cannot be read" in left_out(photographs)
