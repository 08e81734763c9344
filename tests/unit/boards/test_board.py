from __future__ import annotations

import pytest
import yaml

from adbench import StorageError
from adbench.boards.board import (
    DEFAULT_METRICS,
    belongs,
    board_folder,
    board_yaml,
    default_board,
    protocol_slug,
    read_board,
)

TEXT = """
title: Demo, full shot
dataset: demo
protocol: {train: all, allow: [train], class_names: false, model_per: category, seeds: [0, 1], evaluation: original}
metrics: [image-auroc, pixel-auroc]
rank_by: image-auroc
"""


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "board.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_reads_a_board(write):
    board = read_board(write(TEXT))
    assert (board.dataset, board.rank_by, board.protocol.seeds) == ("demo", "image-auroc", (0, 1))
    assert board.protocol.sentence() == "all normal training images, evaluated at original resolution, seeds 0, 1"


def test_a_side_may_be_a_number_in_yaml(write, make_record):
    board = read_board(write(TEXT.replace("evaluation: original", "evaluation: 256")))
    assert belongs(make_record(protocol={"evaluation": "256"}), board)
    assert belongs(make_record(protocol={"evaluation": 256}), board)
    assert not belongs(make_record(), board)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("train: all", "train: all, shots: 4"), "give either 'train: all' or 'shots: N'"),
        (("train: all, ", ""), "give either 'train: all' or 'shots: N'"),
        (("rank_by: image-auroc", "rank_by: pixel-ap"), "none of the metrics"),
        (("seeds: [0, 1]", "seeds: []"), "protocol.seeds"),
        (("dataset: demo", "data: demo"), "dataset"),
        (("allow: [train]", "allow: [tests]"), "protocol.allow"),
        (("[image-auroc, pixel-auroc]", "[image-auroc"), "not readable as YAML"),
        ((TEXT, "- a list"), "board: "),
    ],
)
def test_a_bad_board_is_one_sentence_that_names_the_file(write, change, said):
    path = write(TEXT.replace(*change))
    with pytest.raises(StorageError) as error:
        read_board(path)
    assert str(path) in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_yaml_runs_nothing(write):
    with pytest.raises(StorageError, match="not readable"):
        read_board(write("!!python/object/apply:os.system ['true']"))


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": "mvtec-ad"},
        {"seed": 2},
        {"protocol": {"shots": 4}},
        {"protocol": {"limit_test": 20}},
        {"protocol": {"allow": ["nothing", "train", "test"]}},
        {"protocol": {"class_names": True}},
        {"protocol": {"contaminate": 0.1}},
        {"protocol": {"model_per": "dataset"}},
        {"protocol": {"allow": ["train", "labelled"], "defect_shots": 1}},
        {"protocol": {"something-new": 1}},
        {"protocol": {"allow": "train"}},
    ],
)
def test_only_records_of_the_same_task_belong(write, make_record, other):
    board = read_board(write(TEXT))
    assert belongs(make_record(), board)
    assert belongs(make_record(protocol={"allow": ["train"]}), board)
    assert not belongs(make_record(**other), board)


def test_a_board_may_know_several_numbers_of_shots(write, make_record):
    board = read_board(write(TEXT.replace("train: all", "shots: [1, 2, 4]")))
    taken = [belongs(make_record(protocol={"shots": shots}), board) for shots in (1, 2, 3, 4, None)]
    assert taken == [True, True, False, True, False]
    assert board.protocol.sentence().startswith("1, 2 or 4 of normal training images")
    assert protocol_slug(board.protocol) == "few-shot"
    assert read_board(write(board_yaml(board))) == board


@pytest.mark.parametrize("shots", ["[]", "[0]", "[1, x]"])
def test_numbers_of_shots_are_numbers(write, shots):
    with pytest.raises(StorageError, match=r"protocol"):
        read_board(write(TEXT.replace("train: all", f"shots: {shots}")))


def test_default_board_takes_the_records_it_was_made_for(make_record):
    records = [make_record(seed=seed, protocol={"shots": 4, "limit_train": 50}) for seed in (0, 7)]
    board = default_board(records)
    assert all(belongs(record, board) for record in records)
    assert board.protocol.seeds == (0, 1, 2, 7)
    assert board.metrics == ("image-auroc", "pixel-auroc")
    assert board_folder(board).as_posix() == "demo/4-shot-train-50"


def test_default_board_of_failures_shows_the_usual_metrics(make_record):
    assert default_board([make_record(status="failed")]).metrics == DEFAULT_METRICS


def test_board_yaml_comes_back(write, make_record):
    board = default_board([make_record(dataset="../é\n: {x}", protocol={"evaluation": "256"})])
    assert read_board(write(board_yaml(board))) == board
    assert yaml.safe_load(board_yaml(board))["protocol"]["train"] == "all"


@pytest.mark.parametrize("protocol", [{"shots": -1}, {"evaluation": "../.."}, {"allow": 3}, {"rules": "none"}])
def test_no_board_for_a_strange_protocol(make_record, protocol):
    with pytest.raises(StorageError, match="no board can have this protocol"):
        default_board([make_record(protocol=protocol)])


def test_slugs_tell_protocols_apart(make_record):
    boards = [
        default_board([make_record(protocol=protocol)])
        for protocol in (
            {},
            {"shots": 1},
            {"limit_train": 1},
            {"limit_test": 1},
            {"evaluation": "256"},
            {"allow": ["train", "test"]},
            {"class_names": True},
            {"contaminate": 0.1},
            {"model_per": "dataset"},
            {"allow": ["train", "labelled"], "defect_shots": 2},
        )
    ]
    slugs = [protocol_slug(board.protocol) for board in boards]
    assert slugs == ["full-shot", "1-shot", "full-shot-train-1", "full-shot-test-1", "full-shot-256",
                     "full-shot-learns-test", "full-shot-class-names", "full-shot-contaminated-0.1",
                     "full-shot-one-model", "full-shot-labelled-2"]  # fmt: skip


def test_a_protocol_in_words(make_record):
    protocol = {"shots": 4, "limit_train": 50, "limit_test": 20, "evaluation": "256", "class_names": True}
    protocol["contaminate"] = 0.2
    board = default_board([make_record(protocol={**protocol, "allow": ["train", "test"]})])
    assert board.protocol.sentence() == (
        "4 of the first 50 normal training images, 20 % of the training images are defects, judged on the first 20"
        " images of each test folder, may learn from test images, class names may be told, evaluated at 256 x 256"
        " pixels, seeds 0, 1, 2"
    )
