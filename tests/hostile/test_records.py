"""Records, boards and files of settings by strangers.

None may change, hide, outrank or delete another's, and none costs more than a sentence.

Everything is drawn here. A record is made as in `record_json` of the unit tests' fixtures, without any component.
"""

from __future__ import annotations

import csv
import hashlib
import json
import lzma
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from adbench import StorageError, UsageError
from adbench.boards.publish import Renderers, build, check
from adbench.boards.records.installed import BoardFacts
from adbench.boards.records.line_files import read_line_file
from adbench.builtin.reports import Csv, Markdown
from adbench.cli import call
from adbench.engine.plan.derived import Declarations
from adbench.engine.plan.recipe import read_recipe
from adbench.engine.plan.suite import Grid, read_suite
from adbench.engine.store.record import RECORD_FILE, canonical_json, find_runs, identity, read_record
from adbench.registration.registry import installed

PROTOCOL = {
    "shots": None,
    "limit_train": None,
    "limit_test": None,
    "evaluation": "original",
    "allow": ["nothing", "train"],
    "class_names": False,
}
RAW = b"raw scores, as far as a board looks at them"
VERSIONS = {"image-auroc": 1, "pixel-auroc": 1}
RENDERERS = Renderers(Markdown(), Csv(), known=BoardFacts(versions=VERSIONS))
HONEST = (("bottle", 0), ("bottle", 1), ("cable", 0), ("cable", 1))
SECONDS = 20


def sha(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def reidentified(data):
    """The record with the id that follows from it: a stranger can compute that too."""
    task = data["task"]
    data["id"] = identity(
        canonical_json(data["recipe"]["spec"]), task["category"], task["samples_sha"], task["protocol"], task["seed"]
    )
    return data


def record(name="honest", category="bottle", seed=0, *, auroc=0.8, k=1, images="all", status="ok", **regime):
    spec = {"backbone": [{"name": "a-network"}], "scorer": [{"name": "a-scorer", "options": {"k": k}, "version": 1}]}
    done = status == "ok"
    figure = {"value": auroc, "version": 1, "reason": ""}
    given = {"train_images": 5, "test_set": False, "class_names": False, "anomalies": False}
    cost = {"extract_s": 1.0, "fit_s": 2.0, "test_s": 3.0, "ms_per_image": {"p50": 1.0, "p95": 2.0}}
    cost |= {"peak_memory_mb": 8.0, "peak_gpu_mb": None, "bank_mb": 4.0}
    return reidentified(
        {
            "schema": 3,
            "id": "",
            "status": status,
            "reason": "" if done else "it broke",
            "recipe": {"name": name, "spec": spec, "parts": []},
            "task": {
                "dataset": "demo",
                "revision": "1",
                "category": category,
                "seed": seed,
                "protocol": PROTOCOL,
                "train": 5,
                "test": 10,
                "samples_sha": sha([category, images]),
                "skipped": [],
            },
            "regime": {**given, "tuned_per_category": False, "random_weights": False, **regime},
            "metrics": dict.fromkeys(VERSIONS, figure) if done else {},
            "cost": cost if done else None,
            "predictions": {"file": "raw", "sha256": hashlib.sha256(RAW).hexdigest()} if done else None,
            "provenance": {
                "adbench": "0.1.0",
                "git": None,
                "dirty": None,
                "python": "3.11",
                "torch": "2",
                "device": "cpu",
                "started": "2026-01-01T00:00:00+00:00",
                "weights": [],
                "packages": {},
            },
        }
    )


def put(root: Path, data, *, raw=True, name=None) -> Path:
    folder = root / (name or f"run-{len(list(root.glob('*'))) if root.exists() else 0:03}")
    folder.mkdir(parents=True)
    (folder / RECORD_FILE).write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    if raw:
        (folder / "raw").write_bytes(RAW)
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "leaderboards"


@pytest.fixture
def board(root, tmp_path):
    """An honest method's complete row of two categories and two seeds."""
    for category, seed in HONEST:
        put(tmp_path / "honest", record(category=category, seed=seed))
    assert build([tmp_path / "honest"], root, RENDERERS).problems == []
    return root / "demo/full-shot"


@pytest.fixture
def strange(tmp_path):
    """Where a stranger's runs lie."""
    return tmp_path / "strange"


def rows(board):
    """The standings: title of the table, rank, method and image AUROC of each row."""
    with (board / "table.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    return {row["method"]: (row.get("table", ""), row["rank"], row["image-auroc"]) for row in read}


def lines(board):
    return [json.loads(line) for file in board.glob("records/*") for line in text_lines(file)]


def text_lines(file):
    return read_line_file(file, "records").splitlines()


def edited(data, change, *, again=True):
    change(data)
    return reidentified(data) if again else data


@pytest.fixture
def within():
    """Fails what takes long."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SECONDS


@pytest.fixture
def little(within):
    """Fails what takes long, or much memory."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 256 << 20


def without_predictions(data):
    data.update(predictions=None)


def another_file(data):
    data["predictions"].update(sha256="1" * 64)


def elsewhere(data):
    data["predictions"].update(file="other")


class TestForgedMetrics:
    """Figures that no raw scores stand behind."""

    @pytest.mark.parametrize("change", [without_predictions, another_file, elsewhere])
    def test_stand_apart_without_a_rank(self, board, root, strange, change):
        for category, seed in HONEST:
            put(strange, edited(record("liar", category, seed, auroc=1.0, k=9), change))
        build([strange], root, RENDERERS)
        found = rows(board)
        assert found["honest"][1:] == ("1", "80.0 ± 0.0")
        assert found["liar, unverified"][:2] == ("Standings: normal training images, unverified", "—")
        assert check(root, RENDERERS).problems == []

    def test_are_reported_on_the_page_and_are_no_best(self, board, root, strange):
        put(strange, record("liar", auroc=1.0, k=9), raw=False)
        assert "unverified" in " ".join(build([strange], root, RENDERERS).news)
        page = (board / "README.md").read_text(encoding="utf-8")
        assert "Unverified: nobody has seen the raw scores" in page
        assert "| raw scores were seen | not of liar, unverified |" in page
        best = (root / "index.html").read_text(encoding="utf-8").split("<main>")[-1]
        assert "liar" not in best

    def test_a_line_put_into_a_board_s_file_is_unverified(self, board, root):
        (board / "records" / "liar.jsonl").write_text(canonical_json(record("liar", auroc=1.0, k=9)) + "\n")
        build([], root, RENDERERS)
        assert rows(board)["liar, unverified"][1] == "—"
        assert rows(board)["honest"][1] == "1"

    def test_an_honest_line_that_is_edited_is_unverified_and_named(self, board, root):
        (file,) = board.glob("records/*")
        text = read_line_file(file, "records").replace('"value":0.8', '"value":0.99', 1)
        file.write_bytes(lzma.compress(text.encode()))
        assert any("not as it was when it came" in problem for problem in check(root, RENDERERS).problems)
        build([], root, RENDERERS)
        assert rows(board)["honest, unverified"][1] == "—"
        assert rows(board)["honest"][2] == "— 3/4"

    def test_a_manifest_that_is_taken_away_is_missed(self, board, root):
        (board / "manifest.json").unlink()
        assert any("manifest.json" in problem for problem in check(root, RENDERERS).problems)

    @pytest.mark.parametrize(
        "text", ["{", "[]", '{"schema":1}', '{"schema":1,"images":[],"records":{"x":"y"}}', "[" * 9999]
    )
    def test_a_manifest_that_is_none_stops_the_build_in_one_sentence(self, board, root, text):
        (board / "manifest.json").write_text(text)
        with pytest.raises(StorageError, match=r"manifest\.json"):
            build([], root, RENDERERS)

    @pytest.mark.parametrize("value", [1.0000001, -0.1, float("nan"), float("inf"), 1e308])
    def test_a_figure_that_none_can_be_is_refused(self, board, root, strange, value):
        put(strange, record("liar", auroc=value, k=9))
        put(strange, record("other", k=8))
        assert len(build([strange], root, RENDERERS).problems) == 1
        assert "other" in rows(board)

    def test_invented_intervals_do_not_reach_an_honest_record(self, board, root, strange):
        data = record()
        data["metrics"]["image-auroc"]["interval"] = [0.8, 0.8]
        put(strange, data, raw=False)
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][2] == "80.0 ± 0.0"
        assert all(line["metrics"]["image-auroc"].get("interval") is None for line in lines(board))

    def test_another_figure_for_an_honest_run_is_left_out_and_stops_nobody(self, board, root, strange):
        put(strange, record(auroc=0.1), raw=False)
        put(strange, record("other", k=8))
        problems = build([strange], root, RENDERERS).problems
        assert any("is the same run, and has another image-auroc" in problem for problem in problems)
        assert rows(board)["honest"][2] == "80.0 ± 0.0"
        assert "other" in rows(board)


class TestVersions:
    """Versions of metrics are those that are installed."""

    @pytest.mark.parametrize("version", [999, 2, 10**9])
    @pytest.mark.parametrize("raw", [True, False])
    def test_a_version_that_nobody_knows_moves_its_own_row_alone(self, board, root, strange, version, raw):
        data = record("liar", auroc=1.0, k=9)
        data["metrics"]["image-auroc"]["version"] = version
        put(strange, data, raw=raw)
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")
        assert "versions of metrics that are unknown here" in next(v[0] for k, v in rows(board).items() if "liar" in k)

    def test_a_failed_record_s_versions_are_no_versions(self, board, root, strange):
        data = record("liar", status="failed", k=9)
        data["metrics"] = {"image-auroc": {"value": 1.0, "version": 999, "reason": ""}}
        put(strange, data)
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")

    def test_nor_do_three_of_a_metric_that_is_not_installed(self, board, root, strange):
        renderers = Renderers(Markdown(), Csv())
        for k in (7, 8):
            data = record(f"liar-{k}", auroc=1.0, k=k)
            data["metrics"]["image-auroc"]["version"] = 999
            put(strange, data, raw=False)
        build([strange], root, renderers)
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")

    @pytest.mark.parametrize("version", [-1, 10**12])
    def test_a_version_that_none_can_be_is_refused(self, board, root, strange, version):
        data = record("liar", k=9)
        data["metrics"]["image-auroc"]["version"] = version
        put(strange, data)
        put(strange, record("other", k=8))
        assert "version of metric" in build([strange], root, RENDERERS).problems[0]

    def test_a_later_version_makes_no_record_fuller(self, board, root, strange):
        data = record(auroc=0.1)
        data["metrics"]["image-auroc"]["version"] = 999
        data["metrics"]["pixel-auroc"]["version"] = 999
        put(strange, data)
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")


def colliding():
    """Two numbers whose specs share the first 32 bits of their hash."""
    seen: dict[str, int] = {}
    for k in range(10**6):
        key = sha(record_spec(k))[:8]
        if key in seen:
            return seen[key], k
        seen[key] = k
    raise AssertionError


def record_spec(k):
    return {"backbone": [{"name": "a-network"}], "scorer": [{"name": "a-scorer", "options": {"k": k}, "version": 1}]}


class TestForgedIdentity:
    """Names and keys that pass for another's."""

    def test_keys_that_share_32_bits_are_two_rows_and_two_files(self, root, strange):
        for k, name in zip(colliding(), ("one", "one"), strict=True):
            for category, seed in HONEST:
                put(strange, record(name, category, seed, k=k))
        assert build([strange], root, RENDERERS).problems == []
        board = root / "demo/full-shot"
        assert len(rows(board)) == 2
        assert sorted(len(text_lines(file)) for file in board.glob("records/*")) == [4, 4]
        assert check(root, RENDERERS).problems == []

    @pytest.mark.parametrize("disguise", ["{name} ({key})", "{name}, unverified", "{name}, full-shot", "{name}"])
    def test_a_name_like_another_s_label_erases_nobody(self, board, root, strange, disguise):
        key = sha(record_spec(1))[:8]
        name = disguise.format(name="honest", key=key)
        for raw, k in ((True, 7), (False, 8)):
            for category, seed in HONEST:
                put(strange, record(name, category, seed, k=k, auroc=0.9), raw=raw)
        build([strange], root, RENDERERS)
        found = rows(board)
        assert len(found) == 3
        assert [label for label, row in found.items() if row[2] == "80.0 ± 0.0" and row[1] == "2"]

    def test_an_unverified_namesake_does_not_rename_an_honest_row(self, board, root, strange):
        put(strange, record("honest", k=7, auroc=1.0), raw=False)
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][1] == "1"

    @pytest.mark.parametrize("name", ["h\u043enest", "honest\u200b", "honest\u202e", " honest", "honest\x1b[8m"])
    def test_a_name_that_looks_like_another_s_is_told_apart(self, board, root, strange, name):
        put(strange, record(name, k=7, auroc=1.0))
        build([strange], root, RENDERERS)
        (label,) = [label for label in rows(board) if label != "honest"]
        assert f"({sha(record_spec(7))[:8]})" in label

    @pytest.mark.parametrize(
        "change",
        [
            lambda data: data["recipe"]["spec"]["scorer"][0]["options"].update(k=9),
            lambda data: data["task"].update(seed=1),
            lambda data: data["task"].update(samples_sha="0" * 64),
            lambda data: data.update(id="0" * 64),
        ],
    )
    def test_an_id_that_does_not_follow_is_refused(self, board, root, strange, change):
        put(strange, edited(record(k=5), change, again=False))
        put(strange, record("other", k=8))
        assert "its id does not follow" in build([strange], root, RENDERERS).problems[0]


class TestForgedRegime:
    """What a method was given follows from its components."""

    @staticmethod
    def real(bank, learned, **regime):
        data = record("cheat", **regime)
        part = lambda name: [{"name": name, "options": {}, "version": 1}]  # noqa: E731
        data["recipe"]["spec"] = {
            "backbone": part("toy-pixels"),
            "bank": part(bank),
            "scorer": part("toy-nearest"),
            "aggregate": part("max"),
        }
        data["regime"]["train_images"] = learned
        return data

    @pytest.mark.parametrize(
        ("bank", "learned", "regime", "message"),
        [
            ("toy-vectors", 0, {}, "train_images is 0"),
            ("toy-vectors", 5, {"test_set": True}, "test_set is True"),
            ("toy-vectors", 5, {"class_names": True}, "class_names is True"),
            ("toy-energy", 5, {"anomalies": True}, ""),
        ],
    )
    def test_a_contradiction_is_refused(self, root, strange, bank, learned, regime, message):
        registry = installed()
        if ("bank", bank) not in registry.components:
            pytest.skip(f"no bank {bank!r} here")
        put(strange, reidentified(self.real(bank, learned, **regime)))
        put(strange, record("other", k=8))
        renderers = Renderers(Markdown(), Csv(), known=BoardFacts(VERSIONS, Declarations(registry).contradiction))
        problems = build([strange], root, renderers).problems
        assert (message in " ".join(problems)) if message else True

    def test_a_bank_of_test_images_cannot_say_that_it_saw_none(self, root, strange):
        registry = installed()
        banks = [e.name for e in registry.entries("bank") if e.cls.learns_from.value == "test"]
        assert banks
        for bank in banks:
            data = reidentified(self.real(bank, 5))
            put(strange, data, name=bank)
            record_ = read_record(strange / bank)
            assert "but its components give" in Declarations(registry).contradiction(record_)

    @pytest.mark.parametrize("version", [1, 77])
    def test_another_version_is_no_way_round(self, strange, version):
        data = self.real("toy-vectors", 0)
        data["recipe"]["spec"]["bank"][0]["version"] = version
        record_ = read_record(put(strange, reidentified(data)))
        assert "train_images is 0" in Declarations(installed()).contradiction(record_)

    def test_an_option_that_names_the_category_is_tuning(self, strange):
        data = self.real("toy-vectors", 5)
        data["recipe"]["spec"]["scorer"][0]["options"] = {"power": {"bottle": 3}}
        record_ = read_record(put(strange, reidentified(data)))
        assert "tuned_per_category is False" in Declarations(installed()).contradiction(record_)

    @pytest.mark.parametrize(
        "change",
        [
            lambda data: data["regime"].update(train_images=3),
            lambda data: data["task"].update(train=0),
            lambda data: data["task"].update(test=0),
            lambda data: data["task"].update(test=-3),
            lambda data: data["task"].update(test=10**400),
            lambda data: data["task"].update(train=10**12),
            lambda data: data["provenance"]["weights"].append({"name": "random", "sha256": "0"}),
        ],
    )
    def test_counts_and_weights_that_cannot_be_are_refused(self, board, root, strange, change):
        put(strange, edited(record("cheat", k=9), change))
        put(strange, record("other", k=8))
        assert len(build([strange], root, RENDERERS).problems) == 1
        assert "cheat" not in " ".join(rows(board))


class TestDeletionAndOutvoting:
    """What stands on a board stays, whatever comes."""

    def invented(self, k=1, started="9999-01-01T00:00:00+00:00", **options):
        for category, seed in HONEST:
            name = "honest" if k == 1 else f"liar-{k}"
            data = record(name, category, seed, k=k, images="invented", auroc=0.1, **options)
            data["provenance"]["started"] = started
            yield data

    @pytest.mark.parametrize("raw", [True, False])
    def test_invented_images_delete_no_line(self, board, root, strange, raw):
        before = lines(board)
        for data in self.invented():
            put(strange, data, raw=raw)
        outcome = build([strange], root, RENDERERS)
        assert [line for line in before if line not in lines(board)] == []
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")
        assert len(outcome.problems) == (4 if raw else 0)

    def test_lines_that_do_not_count_stay_in_their_file(self, board, root):
        before = len(lines(board))
        again = canonical_json(record(auroc=0.1))
        (board / "records" / "aaa.jsonl").write_text(again + "\n")
        for _ in range(2):
            assert any("is the same run" in problem for problem in build([], root, RENDERERS).problems)
        assert again in text_lines(board / "records" / "aaa.jsonl.xz")
        assert len(lines(board)) == before + 1
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")

    def test_replacing_one_method_leaves_the_lines_of_others(self, board, root, strange):
        invented = [canonical_json(data) for data in self.invented()]
        (board / "records" / "aaa.jsonl").write_text("\n".join(invented) + "\n")
        put(strange, record("other", k=8))
        build([strange], root, RENDERERS, replacing=True)
        assert {line["id"] for line in lines(board)} >= {json.loads(line)["id"] for line in invented}
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")

    def test_a_success_takes_the_place_of_a_failure_for_good(self, root, strange):
        failed = record("late", status="failed", images="none yet")
        build([put(strange, failed, raw=False)], root, RENDERERS)
        outcome = build([put(strange, record("late"))], root, RENDERERS)
        assert outcome.problems == []
        assert "replaced by" in outcome.news[0]
        assert check(root, RENDERERS).problems == []
        assert [line["status"] for line in lines(root / "demo/full-shot")] == ["ok"]

    def test_who_means_to_replace_says_so_and_it_is_shown(self, board, root, strange):
        for data in self.invented():
            put(strange, data)
        news = build([strange], root, RENDERERS, replacing=True).news
        assert sum("replaced by" in sentence for sentence in news) == 4
        assert rows(board)["honest"][1:] == ("1", "10.0 ± 0.0")
        assert check(root, RENDERERS).problems == []

    @pytest.mark.parametrize("raw", [True, False])
    def test_three_methods_on_invented_images_outvote_nobody(self, board, root, strange, raw):
        for k in (7, 8, 9):
            for data in self.invented(k):
                put(strange, data, raw=raw)
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")
        page = (board / "README.md").read_text(encoding="utf-8")
        assert "other images" in page
        assert "honest: other images" not in page

    def test_lines_in_the_board_s_files_delete_and_outvote_nobody(self, board, root):
        before = lines(board)
        invented = [canonical_json(data) for k in (1, 7, 8, 9) for data in self.invented(k)]
        (board / "records" / "aaa.jsonl").write_text("\n".join(invented) + "\n")
        build([], root, RENDERERS)
        assert [line for line in before if line not in lines(board)] == []
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")

    @pytest.mark.parametrize("status", ["ok", "failed"])
    def test_an_invented_category_makes_no_row_incomplete(self, board, root, status):
        line = canonical_json(record("liar", "no-such", k=9, status=status))
        (board / "records" / "liar.jsonl").write_text(line + "\n")
        build([], root, RENDERERS)
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")

    def test_nor_does_a_run_that_failed_on_one(self, board, root, strange):
        put(strange, record("liar", "no-such", k=9, status="failed"), raw=False)
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")
        assert "— 0/4" in rows(board)["liar"][2]

    def test_a_failure_takes_the_place_of_no_success(self, board, root, strange):
        for category, seed in HONEST:
            data = record("honest", category, seed, status="failed", images="invented")
            data["provenance"]["started"] = "9999"
            put(strange, data)
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][1:] == ("1", "80.0 ± 0.0")

    def test_details_of_an_honest_record_are_not_replaced(self, board, root, strange):
        folder = put(strange, record(), raw=False)
        (folder / "details.json").write_text(json.dumps(details_json(record()["id"])))
        build([strange], root, RENDERERS)
        assert not list(board.glob("details/*"))

    def test_a_line_of_details_claims_no_other_record(self, board, root, tmp_path):
        own = put(tmp_path / "more", record())
        (own / "details.json").write_text(json.dumps(details_json(record()["id"], score=0.25)))
        build([own], root, RENDERERS)
        (file,) = board.glob("details/*")
        kept = lzma.decompress(file.read_bytes()).decode()
        lie = details_json(record()["id"], score=0.75)
        (board / "details" / "aaa.jsonl").write_text(
            json.dumps({"images": lie.pop("images"), **lie}, separators=(",", ":")) + "\n"
        )
        build([], root, RENDERERS)
        assert lzma.decompress(file.read_bytes()).decode() == kept
        assert kept.count('"score":0.25') == 10

    def test_a_path_with_a_mistake_changes_nothing(self, board, root, tmp_path):
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        (board / "README.md").write_text("better")
        with pytest.raises(StorageError, match="holds no run"):
            build([tmp_path / "honest", tmp_path / "hoenst"], root, RENDERERS)
        assert (board / "README.md").read_text() == "better"
        assert before.keys() == {path for path in root.rglob("*") if path.is_file()}

    def test_runs_without_one_record_that_can_be_used_change_nothing(self, root, strange):
        put(strange, "{")
        with pytest.raises(StorageError, match="nothing was written"):
            build([strange], root, RENDERERS)
        assert not root.exists()


def nested(depth):
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


DEEP = "[" * 200_000


@pytest.mark.usefixtures("little")
class TestHuge:
    """Names, numbers and files without measure: one sentence, and the others are built."""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda data: data["recipe"].update(name="x" * 1_200_000), "a name of 1200000 characters"),
            (lambda data: data["task"].update(category="x" * 1_200_000), "a name of 1200000 characters"),
            (lambda data: data["task"].update(dataset="x" * 1_200_000), "a name of 1200000 characters"),
            (lambda data: data["recipe"]["spec"].update(x=nested(60)), "nested more than"),
            (lambda data: data["recipe"]["spec"].update(x="y" * 300_000), "KiB of options"),
            (lambda data: data["recipe"].update(parts=[PART] * 10_000), "more than 200 parts"),
            (lambda data: data["task"].update(seed=-(10**30)), "seed is"),
            (lambda data: data["metrics"].update({f"m{n}": METRIC for n in range(10_000)}), "it has 10002 metrics"),
            (lambda data: data["metrics"].update({"Image AUROC\x1b": METRIC}), "a name that no metric can have"),
            (lambda data: data["cost"].update(test_s=1e300), "cost test_s"),
            (lambda data: data.update(facts={"recall": float("inf")}), "not writable as JSON"),
        ],
    )
    def test_a_record_is_refused_in_one_sentence(self, board, root, strange, change, message):
        put(strange, edited(record("huge", k=9), change))
        put(strange, record("other", k=8))
        (problem,) = build([strange], root, RENDERERS).problems
        assert message in problem
        assert len(problem) < 1000
        assert "other" in rows(board)

    @pytest.mark.parametrize(
        "text",
        [
            DEEP,
            '{"a":' * 100_000,
            "[" * 500 + "]" * 500,
            " " * (5 << 20),
            '{"schema": ' + "9" * 5000 + "}",
            "\x00",
            "null",
        ],
    )
    def test_a_record_that_is_none_is_one_sentence(self, board, root, strange, text):
        put(strange, text)
        put(strange, record("other", k=8))
        (problem,) = build([strange], root, RENDERERS).problems
        assert len(problem) < 1000
        assert "other" in rows(board)

    @pytest.mark.parametrize(
        "change",
        [
            lambda data: data["cost"].update(test_s=5e-324),
            lambda data: data["cost"].update(test_s=0.0, fit_s=0.0, bank_mb=0.0),
            lambda data: data["cost"].update(dict.fromkeys(("test_s", "fit_s", "bank_mb", "peak_memory_mb"), 1e12)),
            lambda data: data["task"].update(test=10**9, train=5),
            lambda data: data.update(facts={f"f{n}": 1e308 for n in range(1000)}),
            lambda data: data["metrics"]["image-auroc"].update(interval=[1.0, 0.0]),
            lambda data: data["metrics"]["image-auroc"].update(value=5e-324),
            lambda data: data["metrics"]["image-auroc"].update(value=None, reason="\x1b" * 100_000),
            lambda data: data["provenance"].update(device="d" * 1_000_000, started="9" * 1_000_000),
            lambda data: data["provenance"]["packages"].update({f"p{n}": "1" for n in range(10_000)}),
            lambda data: data["recipe"].update(name=""),
            lambda data: data["task"].update(category=""),
        ],
    )
    def test_what_may_be_is_shown_in_little(self, board, root, strange, change):
        for category, seed in HONEST:
            put(strange, edited(record("odd", category, seed, k=9), change))
        build([strange], root, RENDERERS)
        assert rows(board)["honest"][2] in ("80.0 ± 0.0", "— 4/5", "— 4/6")
        assert (board / "index.html").stat().st_size < 1_000_000
        assert check(root, RENDERERS).problems == []

    def test_options_in_another_order_are_the_same_board(self, root, strange):
        data = record("unsorted")
        data["recipe"]["spec"]["scorer"][0] = {
            "version": 1,
            "options": {"z": 1, "a": {"y": 1, "b": 2}},
            "name": "a-scorer",
        }
        put(strange, reidentified(data))
        build([strange], root, RENDERERS)
        assert check(root, RENDERERS).problems == []

    @pytest.mark.parametrize("size", [9_000, 300_000])
    def test_a_long_list_of_skipped_files_is_counted(self, board, root, strange, size):
        put(strange, edited(record("skips", k=9), lambda data: data["task"].update(skipped=["f"] * 9 + ["x" * size])))
        build([strange], root, RENDERERS)
        assert len((board / "README.md").read_text(encoding="utf-8")) < 50_000


PART = {"kind": "scorer", "name": "x", "version": 1, "dist": "d", "dist_version": "1"}
METRIC = {"value": 0.5, "version": 1, "reason": ""}
STEERING = ["\x1b[2J", "\x1b]0;owned\x07", "\r\n\x1b[1A", "\u202egnp.exe", "\x9b31m", "\x00"]


class TestEscapes:
    """Nothing that a stranger writes steers a terminal."""

    def seen(self, capfd):
        message = capfd.readouterr()
        text = message.out + message.err
        bad = [char for char in text if not char.isprintable() and char != "\n"]
        assert bad == []
        return text

    @pytest.mark.parametrize("evil", STEERING)
    def test_in_records(self, root, strange, capfd, evil, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        data = record(f"a{evil}b", f"c{evil}d", status="ok")
        data["provenance"]["device"] = evil
        put(strange, reidentified(data))
        put(strange, edited(record("x", "c", status="failed", k=2), lambda d: d.update(reason=evil)))
        put(strange, edited(record("y", k=3), lambda d: d["task"].update(dataset=f"e{evil}f")))
        put(strange, edited(record("z", k=4), lambda d: d["task"].update(skipped=[evil])))
        call(["board", "build", "strange", "--out", "boards"])
        call(["board", "show", "boards"])
        call(["board", "show", "strange", "--metric", "image-auroc"])
        call(["board", "submit", "strange", "--out", "boards"])
        call(["board", "verify", str(next(strange.iterdir()))])
        self.seen(capfd)
        for page in tmp_path.rglob("README.md"):
            assert all(char.isprintable() or char == "\n" for char in page.read_text(encoding="utf-8"))

    @pytest.mark.parametrize("evil", ["\x1b[2J", "\u202e", "a\nb"])
    def test_in_names_of_files(self, strange, capfd, evil, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        put(strange, "{", name=f"run{evil}")
        put(strange, record(), name="good")
        assert call(["board", "build", "strange"]) == 1
        assert call(["board", "build", f"no{evil}where"]) == 1
        assert "holds no run" in self.seen(capfd)

    def test_in_names_that_are_no_text(self, strange, capfd, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        folder = os.fsencode(strange) + b"/run\xff\x1b"
        Path(os.fsdecode(folder)).mkdir(parents=True)
        Path(os.fsdecode(folder), RECORD_FILE).write_text("{")
        put(strange, record(), name="good")
        assert call(["board", "build", "strange"]) == 1
        self.seen(capfd)

    @pytest.mark.parametrize(
        "text",
        [
            'recipe: "\\e[2Jx"\nbackbone: x\nscorer: y\n',
            '"\\e[31mkey": 1\nrecipe: x\n',
            "recipe: x\n\x1b[2J: [",
            'recipe: x\nbackbone: {"\\e[2J": {a: 1}}\nscorer: y\n',
            "recipe: &a [*a]\n",
            "recipe: *nothing\n",
        ],
    )
    def test_in_recipes(self, tmp_path, capfd, text):
        (tmp_path / "evil.yaml").write_text(text)
        assert call(["run", "--recipe", str(tmp_path / "evil.yaml"), "--data", "demo"]) == 2
        assert len(self.seen(capfd)) < 2000


class TestSpecialFiles:
    """Devices, pipes and links in a folder of runs: nothing blocks, nothing is followed, the others are built."""

    @staticmethod
    def pipe(path):
        os.mkfifo(path)

    @staticmethod
    def device(path):
        path.symlink_to("/dev/zero")

    @staticmethod
    def nowhere(path):
        path.symlink_to(path.with_name("gone"))

    @staticmethod
    def loop(path):
        path.symlink_to(path)

    @staticmethod
    def elsewhere(path):
        secret = path.parent.parent.parent / "secret"
        secret.write_text("the password")
        path.symlink_to(secret)

    @staticmethod
    def folder(path):
        path.mkdir()

    KINDS = ("pipe", "device", "nowhere", "loop", "elsewhere", "folder")

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.usefixtures("within")
    def test_as_a_record(self, board, root, strange, kind):
        (strange / "bad").mkdir(parents=True)
        getattr(self, kind)(strange / "bad" / RECORD_FILE)
        put(strange, record("other", k=8))
        (problem,) = build([strange], root, RENDERERS).problems
        assert str(strange / "bad") in problem
        assert "password" not in problem
        assert "other" in rows(board)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.usefixtures("within")
    def test_as_raw_scores(self, board, root, strange, kind):
        getattr(self, kind)(put(strange, record("liar", k=9), raw=False) / "raw")
        build([strange], root, RENDERERS)
        assert rows(board)["liar, unverified"][1] == "—"

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.usefixtures("within")
    def test_as_details(self, board, root, strange, kind):
        for category, seed in HONEST[1:]:
            put(strange, record("bare", category, seed, k=9))
        getattr(self, kind)(put(strange, record("bare", k=9)) / "details.json")
        (problem,) = build([strange], root, RENDERERS).problems
        assert "details.json" in problem
        assert rows(board)["bare"][1] == "1="

    @pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
    @pytest.mark.usefixtures("within")
    def test_as_recipe_suite_and_board(self, tmp_path, kind):
        for name, read in (("r.yaml", read_recipe), ("s.yaml", read_suite)):
            getattr(self, kind)(tmp_path / name)
            with pytest.raises(UsageError, match="should be"):
                read(tmp_path / name)

    def test_a_folder_in_place_of_runs(self, tmp_path):
        assert find_runs(tmp_path / "nothing") == []
        os.mkfifo(tmp_path / "pipe")
        assert find_runs(tmp_path / "pipe") == []


def details_json(record_id, *, count=10, score=0.5, **others):
    images = [{"id": f"a/{number}", "defect": "good", "score": score} for number in range(count)]
    return {"schema": 1, "id": record_id, "images": images, "by_defect": {}, "curves": {}, **others}


POINTS = [[0.0, 0.0]] * 10


@pytest.mark.usefixtures("within")
class TestDetails:
    """What lies beside a record costs that row its details, and nobody else anything."""

    @pytest.mark.parametrize(
        "change",
        [
            {"images": []},
            {"images": [], "embedding": []},
            {"count": 80_000},
            {"score": float("inf")},
            {"score": float("nan")},
            {"score": 1e308},
            {"embedding": []},
            {"embedding": [[1e308, -1e308], *POINTS[1:]]},
            {"embedding": [[float("inf"), 0.0], *POINTS[1:]]},
            {"by_defect": {"good": {"image-auroc": 1e308}}},
            {"by_defect": {f"d{n}": {} for n in range(100_000)}},
            {"by_defect": {"d": {f"m{n}": 0.5 for n in range(100_000)}}},
            {"curves": {"roc": [[0.0, float("inf")]]}},
            {"curves": {"roc": [[0.0, 0.0]] * 100_000}},
            {"threshold": {"method": "sigma", "source": "x", "normals": 1, "value": float("inf")}},
            {"threshold": {"method": "sigma", "source": "x" * 10**5, "normals": 1, "value": 1.0}},
            {"by_defect": nested(60)},
            {"id": "0" * 64},
        ],
    )
    def test_the_row_loses_them_and_the_board_is_built(self, board, root, strange, tmp_path, change):
        fine = put(tmp_path / "fine", record("fine", k=6))
        (fine / "details.json").write_text(json.dumps(details_json(record("fine", k=6)["id"])))
        bad = record("bad", k=9, auroc=0.95)
        folder = put(strange, bad)
        (folder / "details.json").write_text(json.dumps(details_json(bad["id"]) | details_json(bad["id"], **change)))
        outcome = build([strange, tmp_path / "fine"], root, RENDERERS)
        assert outcome.problems
        assert all(len(problem) < 1000 for problem in outcome.problems)
        shown = page_of(board)
        assert {m["label"]: "details" in m for m in shown["methods"]} == {"honest": False, "fine": True, "bad": False}
        assert (board / "index.html").stat().st_size < 3 << 20

    def test_one_row_s_long_ids_cost_no_other_its_place(self, board, root, strange, tmp_path):
        fine = put(tmp_path / "fine", record("fine", k=6, auroc=0.7))
        (fine / "details.json").write_text(json.dumps(details_json(record("fine", k=6)["id"])))
        best = record("best", k=9, auroc=0.99)
        best["task"]["test"] = 20_000
        folder = put(strange, best)
        images = [{"id": f"{n:0150}", "defect": "good", "score": n / 7} for n in range(20_000)]
        (folder / "details.json").write_text(json.dumps({**details_json(best["id"]), "images": images}))
        build([strange, tmp_path / "fine"], root, RENDERERS)
        shown = page_of(board)
        assert {m["label"]: "details" in m for m in shown["methods"]} == {"honest": False, "fine": True, "best": False}
        assert (board / "index.html").stat().st_size < 2 << 20

    @pytest.mark.parametrize(
        "address",
        [
            "data:image/png;base64,AAAA",
            "data:image/png;base64,A",
            "data:image/svg+xml;base64,PHN2Zz4=",
            "https://example.org/x.png",
            "PNG",
        ],
    )
    def test_a_picture_that_is_none_or_of_1e5_pixels_is_not_shown(self, board, root, strange, address):
        data = record("seen", k=9)
        put(strange, data, raw=False)
        build([strange], root, RENDERERS)
        if address == "PNG":
            address = f"data:image/png;base64,{huge_png()}"
        (board / "pictures").mkdir()
        name = next(board.glob("records/seen*")).name.removesuffix(".xz")
        line = canonical_json({"schema": 1, "id": data["id"], "pictures": {"a/0": address}})
        (board / "pictures" / name).write_text(line + "\n")
        (board / "details").mkdir()
        (board / "details" / name).write_text(canonical_json(details_json(data["id"])) + "\n")
        outcome = build([], root, RENDERERS)
        assert any("pictures of record" in problem for problem in outcome.problems)
        assert not any("pictures" in method for method in page_of(board)["methods"])


def huge_png():
    """The head of a picture of 100,000 by 100,000 pixels, and nothing else."""
    import base64
    import struct
    import zlib

    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    ).decode()


def page_of(board):
    text = (board / "index.html").read_text(encoding="utf-8")
    start = text.index('type="application/json"')
    return json.loads(text[text.index(">", start) + 1 : text.index("</script>", start)])


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 500))
PARTS = "[" + ", ".join(f"p{n}" for n in range(1000)) + "]"


@pytest.mark.usefixtures("little")
class TestSuitesAndRecipes:
    """Files of settings are bounded before anything is written out."""

    @pytest.mark.parametrize("read", [read_recipe, read_suite])
    @pytest.mark.parametrize(
        "text",
        [
            BOMB,
            CHAIN,
            "[" * 100_000,
            "{a: " * 50_000,
            "a: &a [*a]",
            "x: " + "y" * (60 << 20),
            "- x\n" * 200_000,
            "\xff\xfe",
            "a: !!int ''",
        ],
        ids=["bomb", "chain", "deep list", "deep map", "itself", "60 MB", "long", "no text", "no number"],
    )
    def test_a_file_is_refused_in_one_sentence(self, tmp_path, read, text):
        (tmp_path / "x.yaml").write_text(text, encoding="latin-1")
        with pytest.raises(UsageError) as error:
            read(tmp_path / "x.yaml")
        assert len(str(error.value)) < 1500

    def test_a_grid_of_1000_cubed_is_counted_and_not_written_out(self, tmp_path):
        text = f"suite: s\ntasks: [{{data: demo}}]\ngrid: {{backbone: {PARTS}, bank: {PARTS}, scorer: {PARTS}}}\n"
        (tmp_path / "s.yaml").write_text(text)
        with pytest.raises(UsageError, match="it has 1000000000 recipes, more than 10000"):
            read_suite(tmp_path / "s.yaml")
        parts = [{"name": f"p{n}"} for n in range(1000)]
        with pytest.raises(UsageError, match="more than 10000"):
            next(Grid.model_validate({"backbone": parts, "bank": parts, "scorer": parts}).recipes())

    def test_tasks_times_seeds_are_counted_too(self, tmp_path):
        seeds = ", ".join(map(str, range(5_000)))
        text = f"suite: s\ntasks: [{{data: demo, seeds: [{seeds}]}}]\ngrid: {{backbone: a, scorer: {PARTS}}}\n"
        (tmp_path / "s.yaml").write_text(text)
        with pytest.raises(UsageError, match="it has 5000000 units"):
            read_suite(tmp_path / "s.yaml")

    @pytest.mark.parametrize("text", [BOMB, "[" * 100_000, "x: " + "y" * (2 << 20)])
    def test_a_board_s_own_file_is_bounded(self, board, root, text):
        (board / "board.yaml").write_text(text)
        with pytest.raises(StorageError, match=r"board\.yaml"):
            build([], root, RENDERERS)
        (board / "board.yaml").unlink()
        (root / "published.yaml").write_text(text if len(text) < 2 << 20 else text * 3)
        with pytest.raises(StorageError, match=r"published\.yaml"):
            build([], root, RENDERERS)


def raw_file(*, scores=(0.5, 0.25), patches=None, **about):
    import numpy as np
    from safetensors.numpy import save

    header = {"ids": ["a", "b"], "geometry": [[[8, 8], [8, 8], [0, 0, 8, 8]]] * 2, "grids": None, **about}
    arrays = {"scores": np.array(scores, np.float32)}
    if patches is not None:
        arrays["patches"] = np.zeros(patches, np.float32)
    text = header.pop("text", None) or json.dumps(header)
    return save(arrays, {"adbench": text})


class TestRawScores:
    """A file of raw scores that is not what it says is one sentence, before any map of it is made."""

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff" * 64,
            raw_file(scores=(float("nan"), 0.5)),
            raw_file(scores=(float("inf"), 0.5)),
            raw_file(scores=(0.5,)),
            raw_file(ids=["a"] * 80_000),
            raw_file(geometry=[[[100_000, 100_000], [8, 8], [0, 0, 8, 8]]] * 2),
            raw_file(geometry=[[[8, 8], [0, 8], [0, 0, 8, 8]]] * 2),
            raw_file(geometry=[[[8, 8], [8, 8], [0, 0, 1e308, 8]]] * 2),
            raw_file(geometry=[[[8, 8], [8, 8], [0, 0, float("nan"), 8]]] * 2),
            raw_file(grids=[[2, 2], [2, 2]]),
            raw_file(grids=[[2, 2], [2, 2]], patches=9),
            raw_file(grids=[[1000, 1000], [2, 2]], patches=8),
            raw_file(grids=[[-1, -4], [2, 2]], patches=8),
            raw_file(grids=[[2, 2]], patches=4),
            raw_file(text="[" * 100_000),
            raw_file(text="null"),
        ],
    )
    @pytest.mark.usefixtures("within")
    def test_is_refused(self, tmp_path, content):
        from adbench.engine.store.predictions import read_predictions
        from adbench.engine.store.record import PredictionsInfo

        (tmp_path / "raw").write_bytes(content)
        info = PredictionsInfo(file="raw", sha256=hashlib.sha256(content).hexdigest())
        with pytest.raises(StorageError, match="--redo"):
            read_predictions(tmp_path, info)

    def test_one_that_is_right_is_read(self, tmp_path):
        from adbench.engine.store.predictions import read_predictions
        from adbench.engine.store.record import PredictionsInfo

        content = raw_file(grids=[[2, 2], [1, 3]], patches=7)
        (tmp_path / "raw").write_bytes(content)
        found = read_predictions(tmp_path, PredictionsInfo(file="raw", sha256=hashlib.sha256(content).hexdigest()))
        assert [patch.shape for patch in found.patches] == [(2, 2), (1, 3)]
