"""Files below a folder, and links that lead elsewhere."""

from __future__ import annotations

import os

import pytest
from adbench_data.sets.mpdd import Mpdd
from adbench_data.tree import Tree

from adbench import DataError


@pytest.fixture
def tree(tmp_path, draw):
    for name in ("a/1.png", "a/2.PNG", "a/3.txt", "a/.hidden.png", "__MACOSX/4.png", "b/c/5.png"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return Tree((tmp_path / "root").resolve())


def test_files_and_folders_are_listed_by_name(tree):
    assert tree.images("a") == ["a/1.png", "a/2.PNG"]
    assert tree.folders("") == ("a", "b")
    assert sorted(tree.walk("")) == ["a/1.png", "a/2.PNG", "a/3.txt", "b/c/5.png"]
    assert tree.images("nowhere") == []
    assert tree.has("b/c/5.png")
    assert tree.has_folder("b/c")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside.png", "a/../a/1.png", "a//1.png", "a/.hidden.png", "", "a/1.png\0"]
)
def test_what_is_not_below_the_root_is_not_there(tree, path):
    (tree.root.parent / "outside.png").write_bytes(b"")
    assert not tree.has(path)


def test_links_that_lead_out_or_in_a_circle_are_not_followed(tree):
    outside = tree.root.parent / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"")
    (tree.root / "out").symlink_to(outside)
    (tree.root / "a" / "out.png").symlink_to(outside / "secret.png")
    (tree.root / "b" / "up").symlink_to(tree.root)
    (tree.root / "b" / "self").symlink_to(tree.root / "b" / "self")
    (tree.root / "a" / "again.png").symlink_to(tree.root / "a" / "1.png")
    found = Tree(tree.root)
    assert not found.has("out/secret.png")
    assert not found.has("b/up/a/1.png")
    assert not found.has_folder("out")
    assert found.has("a/again.png")
    assert "a/out.png" not in set(found.walk(""))
    assert set(found.unfollowed) == {"out", "a/out.png", "b/up", "b/self"}
    assert "leads out" in found.unfollowed["out"]
    assert "link to a folder" in found.unfollowed["b/up"]


def test_links_that_are_not_followed_are_passed_over(drawn):
    root = drawn("mpdd")
    (root / "tubes/train/good/9.png").symlink_to(root.parent / "elsewhere.png")
    found = Mpdd(root=root, partial=True)
    found.split("tubes")
    (over,) = found.survey("tubes").passed_over
    assert str(over).startswith("tubes/train/good/9.png: is a link that leads out")


def test_one_name_but_for_the_suffix(tree):
    (tree.root / "a" / "1.bmp").write_bytes(b"")
    with pytest.raises(DataError, match=r"a/1\.bmp and a/1\.png have one name but for the suffix"):
        Tree(tree.root).by_stem("a", (".png", ".bmp"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed(tree):
    (tree.root / "a").chmod(0)
    try:
        with pytest.raises(DataError, match="cannot be listed"):
            tree.images("a")
    finally:
        (tree.root / "a").chmod(0o755)
