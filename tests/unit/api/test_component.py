import os
from typing import ClassVar

import pytest
from pydantic import field_validator, model_validator

from adbench import Aggregator, Field, UnknownName, UsageError
from adbench.files import LocalFile, sha256_of


class Sample(Aggregator):
    """For tests."""

    name = "sample"

    class Config(Aggregator.Config):
        amount: int = Field(1, ge=0, description="how much")
        file: LocalFile | None = Field(None, description="a file")

    config: Config

    def aggregate(self, scores):
        raise NotImplementedError


def test_options_are_validated_and_frozen():
    assert Sample(amount="3").config.amount == 3
    with pytest.raises(UsageError, match=r"option 'amount' of aggregator 'sample': .* \(given: -1\)"):
        Sample(amount=-1)
    with pytest.raises(Exception, match="frozen"):
        Sample().config.amount = 2


def test_what_a_components_own_check_says_is_shown_as_it_is():
    class Odd(Sample):
        """For tests."""

        name = "odd"

        class Config(Sample.Config):
            @field_validator("amount")
            @classmethod
            def _odd(cls, amount: int) -> int:
                if amount % 2 == 0:
                    raise ValueError("must be odd")
                return amount

    with pytest.raises(UsageError, match=r"^option 'amount' of aggregator 'odd': must be odd \(given: 2\)$"):
        Odd(amount=2)


def test_a_check_of_several_options_names_them_all():
    class Two(Sample):
        """For tests."""

        name = "two"

        class Config(Sample.Config):
            most: int = 1

            @model_validator(mode="after")
            def _in_order(self):
                if self.amount > self.most:
                    raise ValueError("Too much")
                return self

    with pytest.raises(UsageError, match=r"^options of aggregator 'two': too much \(given: amount=3, most=2\)$"):
        Two(amount=3, most=2)
    with pytest.raises(UsageError, match=r"^options of aggregator 'two': too much \(given: amount=2\)$"):
        Two(amount=2)


def test_an_unknown_option_suggests_the_nearest():
    with pytest.raises(UnknownName, match="unknown option 'amuont' of aggregator 'sample'; did you mean 'amount'"):
        Sample(amuont=1)


def test_identity_holds_a_files_content_and_not_its_place(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in ("a", "b"):
        (tmp_path / folder / "weights.bin").write_bytes(b"12")
    first, second = (Sample(file=tmp_path / folder / "weights.bin").identity() for folder in ("a", "b"))
    assert (
        first
        == second
        == {"amount": 1, "file": {"file": "weights.bin", "sha256": sha256_of(tmp_path / "a/weights.bin")}}
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match="none.bin"):
        sha256_of(tmp_path / "none.bin")


def test_a_pipe_is_no_file_to_take_the_digest_of(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="a pipe or a device, no file"):
        sha256_of(tmp_path / "pipe")


def test_repr_is_how_it_was_made():
    assert repr(Sample(amount=2)) == "Sample(amount=2)"


class Aged(Sample):
    """With an option that no longer exists."""

    name = "aged"
    retired: ClassVar = {"blur": (None, "smooth the map instead")}


def test_a_retired_option_stays_part_of_the_identity():
    assert Aged().identity() == {"blur": None, "amount": 1, "file": None}
    assert Aged(blur=None).identity() == Aged().identity()


def test_a_retired_option_is_refused_with_the_way_out():
    with pytest.raises(UsageError, match="^aggregator 'aged' no longer has the option 'blur'; smooth the map instead$"):
        Aged(blur=3)
