import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from adbench import Features, Geometry
from adbench.engine.features import feature_cache as module
from adbench.engine.features.cache_files import abandoned, clear, evict, feature_folders, files
from adbench.engine.features.cached_features import CachedFeatures, checksum_of, packed
from adbench.engine.features.feature_cache import FeatureCache

ABOUT = {"backbone": {"name": "net", "options": {}}, "runtime": "torch"}


def entry(seed=0, size=4, dtype=torch.float32):
    tensor = torch.randn(1, size, size, 3, generator=torch.Generator().manual_seed(seed)).to(dtype)
    geometry = Geometry((64, 48), (32, 32), (0.0, -1.5, 64.0, 48.25))
    return CachedFeatures(
        Features(("it",), (geometry,), tensor, {"late": tensor * 2, "early": tensor[:, :2]}, tensor[0, :1, 0]),
        12.5,
        "torch",
    )


@pytest.fixture
def folder(cache):
    return FeatureCache(cache, 1 << 30, note=pytest.fail).folder_for(ABOUT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_is_kept_comes_back_as_it_was(folder, dtype):
    folder.put("a", entry(dtype=dtype))
    before, after = entry(dtype=dtype), folder.get("a")
    assert after.ms == before.ms
    assert after.features.geometry == before.features.geometry
    for mine, there in (
        (before.features.patches, after.features.patches),
        (before.features.image, after.features.image),
        (before.features.layers["early"], after.features.layers["early"]),
    ):
        assert torch.equal(mine, there)
        assert mine.dtype == there.dtype
    assert list(after.features.layers) == ["late", "early"], "in the order of depth that the backbone gave"
    assert after.features.foreground is None


def test_a_layer_that_is_also_the_patches_is_written_once(folder):
    one = entry().features
    folder.put("a", CachedFeatures(one.having(layers={"only": one.patches}, image=None), 1.0, "torch"))
    found = folder.get("a").features
    assert torch.equal(found.patches, one.patches)
    assert torch.equal(found.layers["only"], one.patches)
    (file,) = files(folder.cache.root)
    assert file.size < 2 * one.patches.nbytes + 1000


def test_what_is_not_there_is_none(folder):
    assert not folder.has("a")
    assert folder.get("a") is None


def test_folders_differ_in_whatever_decides_the_features(cache):
    cache = FeatureCache(cache)
    folders = {cache.folder_for({**ABOUT, **change}).path for change in ({}, {"runtime": "x"}, {"device": "gpu"}, {})}
    assert len(folders) == 3


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_noticed(tmp_path, data):
    reported = []
    folder = FeatureCache(tmp_path, 1 << 30, note=reported.append).folder_for(ABOUT)
    folder.put("a", entry())
    file = folder.path / "a.safetensors"
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.sampled_from(["flip", "cut", "grow"]))
    flipped = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    file.write_bytes({"flip": flipped, "cut": whole[:place], "grow": whole + b"x" * (1 + place)}[change])
    found = folder.get("a")
    if found is not None:  # only spaces of the header's padding, or the names of its own keys, may go unnoticed
        assert torch.equal(found.features.patches, entry().features.patches)
        assert found.ms == entry().ms
    else:
        assert not file.exists()
        assert "made again" in reported[0]


def test_a_file_of_somebody_elses_is_no_traceback(folder):
    reported = []
    folder.cache.note = reported.append
    folder.put("a", entry())
    for content in (b"", b"\x80\x04pickle", b"\xff" * 100, (8).to_bytes(8, "little") + b'{"a": 1}'):
        (folder.path / "a.safetensors").write_bytes(content)
        assert folder.get("a") is None
    assert len(reported) == 1, "one kind of trouble is told once"


def test_the_least_recently_used_goes_first(cache):
    one = len(packed(entry()))
    store = FeatureCache(cache, 4 * one)
    folder = store.folder_for(ABOUT)
    for number, name in enumerate("abcd"):
        folder.put(name, entry(number))
        os.utime(folder.path / f"{name}.safetensors", (number, number))
    assert folder.get("a") is not None, "used again, so it is no longer the oldest"
    folder.put("e", entry(9))
    assert {name for name in "abcde" if folder.has(name)} == {"a", "d", "e"}
    assert sum(item.size for item in files(cache)) <= 4 * one


def test_the_default_limit_is_a_tenth_of_the_disk(cache, monkeypatch):
    cache.mkdir()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert FeatureCache(cache).bound.allowed == 100


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(30, "Read-only file system")])
def test_a_folder_that_cannot_be_written_is_reported_once_and_stops_nothing(cache, monkeypatch, error):
    reported = []

    def fail(*_):
        raise error

    folder = FeatureCache(cache, note=reported.append).folder_for(ABOUT)
    monkeypatch.setattr(module, "_write", fail)
    folder.put("a", entry())
    folder.put("b", entry())
    (note,) = reported
    assert error.strerror in note
    assert "--cache" in note
    assert folder.get("a") is None


def test_a_cache_that_may_only_be_read_is_read(folder, monkeypatch):
    folder.put("a", entry())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.os, "utime", refuse)
    assert folder.get("a") is not None


def test_a_write_that_is_interrupted_leaves_nothing(folder, monkeypatch):
    folder.put("a", entry())

    def interrupt(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        folder.put("b", entry())
    assert {path.name for path in folder.path.iterdir()} == {"about.json", "a.safetensors"}


def test_many_writers_and_readers_at_once(cache):
    def work():
        folder = FeatureCache(cache, 40 * len(packed(entry())), note=troubles.append).folder_for(ABOUT)
        for number in range(30):
            folder.put(str(number % 7), entry(number % 7))
            found = folder.get(str((number + 3) % 7))
            if found is not None and not torch.equal(found.features.patches, entry((number + 3) % 7).features.patches):
                troubles.append("wrong")

    troubles = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []


def test_info_and_clear_touch_features_alone(cache):
    store = FeatureCache(cache, 1 << 30)
    store.folder_for(ABOUT).put("a", entry())
    store.folder_for({**ABOUT, "runtime": "x"}).put("b", entry())
    (cache / "mine.txt").write_text("keep")
    (store.folder_for({**ABOUT, "runtime": "x"}).path / "about.json").write_text("no json")
    infos = feature_folders(cache)
    assert [info.images for info in infos] == [1, 1]
    assert {json.dumps(info.about) for info in infos} == {json.dumps(ABOUT), "{}"}
    assert clear(cache) == sum(info.size for info in infos)
    assert [path.name for path in cache.iterdir()] == ["mine.txt"]
    assert evict(cache, 0) == 0


def test_an_entry_of_another_version_is_made_again_and_told_of(cache):
    notes = []
    folder = FeatureCache(cache, 1 << 30, note=notes.append).folder_for(ABOUT)
    folder.put("a", entry())
    (file,) = files(cache)
    with safe_open(file.path, framework="pt") as opened:
        head = json.loads(opened.metadata()["head"])
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    del head["runtime"]
    text = json.dumps(head)
    save_file(tensors, file.path, {"head": text, "checksum": checksum_of(text, tensors)})
    assert folder.get("a") is None
    assert "cannot be read ('runtime')" in notes[0]
    folder.put("a", entry())
    assert folder.get("a").runtime == "torch"


WRITER = """
import sys, torch
from pathlib import Path
from adbench import Features, Geometry
from adbench.engine.features.cached_features import CachedFeatures
from adbench.engine.features.feature_cache import FeatureCache
folder = FeatureCache(Path(sys.argv[1]), 300_000, note=print).folder_for({"a": 1})
for number in range(30):
    features = Features(("x",), (Geometry.whole(8, 8),), patches=torch.randn(1, 8, 8, 100))
    folder.put(f"{sys.argv[2]}-{number}", CachedFeatures(features, 1.0, "torch"))
"""


@pytest.mark.slow
def test_four_processes_keep_to_one_limit(cache):
    command = [sys.executable, "-c", WRITER, str(cache)]
    writers = [subprocess.Popen([*command, str(who)], stdout=subprocess.PIPE) for who in range(4)]
    most = 0
    while any(writer.poll() is None for writer in writers):
        most = max(most, sum(item.size for item in files(cache)))
        time.sleep(0.002)  # the writers need the processor
    assert [writer.communicate()[0] for writer in writers] == [b""] * 4
    assert 200_000 < most <= 300_000
    assert list(abandoned(cache)) == []


def test_what_a_killed_writer_leaves_is_swept_with_the_next_eviction(cache, folder):
    folder.put("a", entry())
    (folder.path / ".draft-dead").write_bytes(bytes(1 << 20))
    assert [path.name for path in abandoned(cache)] == [".draft-dead"]
    evict(cache, 1 << 30)
    assert not (folder.path / ".draft-dead").exists()
    assert folder.has("a")


def test_a_damaged_entry_that_cannot_be_thrown_away_is_reported_and_not_used(cache, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    reported = []
    folder = FeatureCache(cache, 1 << 30, note=reported.append).folder_for(ABOUT)
    folder.put("a", entry())
    (file,) = files(cache)
    file.path.write_bytes(b"damaged")
    monkeypatch.setattr(Path, "unlink", refuse)
    assert folder.get("a") is None
    assert folder.get("a") is None
    (note,) = reported
    assert "cannot be thrown away (Permission denied); it is not used" in note


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_none(cache, make):
    reported = []
    folder = FeatureCache(cache, 1 << 30, note=reported.append).folder_for(ABOUT)
    folder.put("a", entry())
    make(folder.path / "b.safetensors")
    assert folder.get("b") is None
    assert "the kept features" in reported[0]
    folder.put("b", entry())


def test_a_folder_that_is_closed_to_us_has_nothing(folder, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.stat", refuse)
    assert not folder.has("a")


def test_a_draft_that_was_swept_by_mistake_is_written_again(folder, monkeypatch):
    real, lost = Path.replace, []

    def sweep_first(self, target):
        if not lost and ".draft-" in self.name:
            lost.append(self)
            self.unlink()
        return real(self, target)

    folder.put("a", entry())
    monkeypatch.setattr(Path, "replace", sweep_first)
    folder.put("b", entry())
    assert lost
    assert folder.has("b")


def test_what_is_larger_than_the_limit_is_reported_and_not_kept(cache):
    reported = []
    folder = FeatureCache(cache, 10, note=reported.append).folder_for(ABOUT)
    folder.put("a", entry())
    folder.put("b", entry())
    assert list(files(cache)) == []
    (note,) = reported
    assert "more than the limit" in note


def test_passing_features_go_first_and_push_out_nothing(cache):
    one = len(packed(entry()))
    store = FeatureCache(cache, 4 * one)
    own, guest = store.folder_for(ABOUT), store.folder_for(ABOUT, passing=True)
    own.put("a", entry())
    for name in "vwxyz":
        guest.put(name, entry())
    assert own.has("a")
    assert [guest.has(name) for name in "vwxyz"] == [True, True, True, False, False], "the first ones stay"
    own.put("b", entry())
    assert own.has("a")
    assert own.has("b"), "others take the room of passing ones"
    assert sum(item.size for item in files(cache)) <= 4 * one


def test_passing_features_of_earlier_runs_make_room_for_new_ones(cache):
    one = len(packed(entry()))
    FeatureCache(cache, 3 * one).folder_for(ABOUT).put("a", entry())
    earlier = FeatureCache(cache, 3 * one).folder_for({**ABOUT, "runtime": "x"}, passing=True)
    for name in "vw":
        earlier.put(name, entry())
        os.utime(earlier.path / f"{name}.safetensors", (1, 1))
    later = FeatureCache(cache, 3 * one).folder_for(ABOUT, passing=True)
    later.put("y", entry())
    assert later.has("y")
    assert not earlier.has("v")
    assert FeatureCache(cache, 3 * one).folder_for(ABOUT).has("a")


def test_passing_features_are_never_read_as_others(cache):
    store = FeatureCache(cache)
    store.folder_for(ABOUT, passing=True).put("a", entry())
    assert not store.folder_for(ABOUT).has("a")


@pytest.mark.parametrize(("images", "told"), [(0, 0), (3, 0), (4, 1)])
def test_a_cache_that_cannot_hold_all_images_says_once_which_size_would(cache, images, told):
    size, reported = len(packed(entry(size=600))), []
    folder = FeatureCache(cache, 3 * size, note=reported.append).folder_for(ABOUT, images)
    for name in "abcd":
        folder.put(name, entry(size=600))
    assert len(reported) == told
    if told:
        megabytes = -(-4 * size // 10**6)
        assert f"the features of 4 images take {megabytes} MB" in reported[0]
        assert reported[0].endswith(f"--cache-size {megabytes}MB holds them")
        enough = FeatureCache(cache, megabytes * 10**6, note=pytest.fail).folder_for({**ABOUT, "runtime": "x"}, images)
        enough.put("a", entry(size=600))
