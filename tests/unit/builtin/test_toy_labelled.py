"""The toys of labelled images keep every contract, and name the types of defects that they were shown."""

from __future__ import annotations

import pytest
import torch

from adbench import Context, DataError
from adbench.builtin.toy_labelled import ToyClasses, ToyExemplars
from adbench.testing import parametrize_with_checks
from adbench.testing.toy_data import ToyStream, pick, toys


@parametrize_with_checks([ToyExemplars, ToyClasses])
def test_conforms(check):
    check()


def test_the_types_of_what_was_learned_are_named():
    stream = toys().labelled
    bank = ToyExemplars()
    bank.fit(stream, Context())
    assert bank.types.unique().tolist() == [1, 2]
    found = ToyClasses().score(stream.features, bank)
    assert found.classes.argmax(1).tolist() == [stream.labels[name] for name in stream.ids]
    torch.testing.assert_close(found.image, (1 / found.classes[:, 0] - 1).log(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kept", [{0}, {1, 2}])
def test_one_side_alone_is_refused(kept):
    stream = toys().labelled
    labels = {name: label for name, label in stream.labels.items() if label in kept}
    places = [place for place, name in enumerate(stream.ids) if name in labels]
    with pytest.raises(DataError, match="labelled normal and defective images"):
        ToyExemplars().fit(ToyStream(pick(stream.features, places), labels=labels), Context())
