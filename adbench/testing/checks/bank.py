"""Rules for banks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import torch

from adbench import (
    AdbenchError,
    AlignedBank,
    Bank,
    EnergyBank,
    Features,
    FeatureStream,
    GaussianBank,
    PrototypeBank,
    ReconstructionBank,
    Source,
    VectorBank,
)
from adbench.testing.check import Broken, Rule, Subject, require
from adbench.testing.exercise import fingerprint, stream_for
from adbench.testing.partners import toy_scorer_for
from adbench.testing.reference_metrics import auroc
from adbench.testing.toy_data import Toys, toys


def check_fit_twice_is_fit_once(subject: Subject[Bank]) -> None:
    """Fitting twice on the same images is the same as fitting once."""
    given = toys()
    bank = _fitted(subject, given)
    once = fingerprint(contents(bank, given))
    bank.fit(stream_for(bank, given), subject.ctx)
    require(fingerprint(contents(bank, given)) == once, "The second fit changed what was learned; start afresh in fit.")


def check_state_round_trip(subject: Subject[Bank]) -> None:
    """`state` holds everything that was learned, as named tensors that survive safetensors, and `restore` takes it."""
    from safetensors.torch import load, save

    given = toys()
    bank = _fitted(subject, given)
    state = bank.state()
    odd = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    require(not odd, f"No tensors: {', '.join(odd)}.")
    other = subject.ready()
    other.restore(load(save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})))
    same = fingerprint(contents(other, given)) == fingerprint(contents(bank, given))
    require(same, "The restored bank knows something else than the one it came from.")


def check_one_image_is_enough(subject: Subject[Bank]) -> None:
    """One image is enough to learn from, and what is learned from it is finite."""
    given = toys()
    bank = subject.ready()
    bank.fit(stream_for(bank, given).first(1), subject.ctx)
    for name, tensor in bank.state().items():
        require(not tensor.is_floating_point() or bool(tensor.isfinite().all()), f"{name!r} is not finite.")


def check_empty_stream_is_refused(subject: Subject[Bank]) -> None:
    """An empty stream raises an AdbenchError that says so; a bank that learns from nothing does not mind."""
    bank = subject.ready()
    try:
        bank.fit(stream_for(bank, toys()).first(0), subject.ctx)
    except AdbenchError as refusal:
        require(bank.learns_from is not Source.NOTHING, f"It learns from nothing, but said: {refusal}")
    else:
        require(bank.learns_from is Source.NOTHING, "It was taken without a word.")


def check_nothing_is_never_read(subject: Subject[Bank]) -> None:
    """A bank that learns from nothing never walks over the stream."""
    bank = subject.ready()
    if bank.learns_from is Source.NOTHING:
        bank.fit(Untouchable(), subject.ctx)


def check_contents_have_their_shapes(subject: Subject[Bank]) -> None:
    """What a bank of one of the six kinds holds has the shape and type that the kind says."""
    given = toys()
    bank = _fitted(subject, given)
    grid = given.test.features.need_patches(bank.title).shape
    match bank:
        case VectorBank():
            require(bank.vectors.ndim == 2 and len(bank.owners) == len(bank.vectors), "Not one owner a vector [N, C].")
        case AlignedBank():
            require(bank.vectors.ndim == 4 and bank.vectors.shape[1:3] == grid[1:3], "Not [N, H, W, C] of the grid.")
        case GaussianBank():
            require(bank.precision.shape == (*bank.mean.shape, bank.mean.shape[-1]), "Mean and precision do not fit.")
        case EnergyBank():
            require(bank.energy(given.test.features).shape == grid[:3], "Energies are not [B, H, W].")
        case ReconstructionBank():
            require(bank.reconstruct(given.test.features).shape == grid, "The reconstruction is not [B, H, W, C].")
        case PrototypeBank():
            require(bank.normal.ndim == 2 == bank.abnormal.ndim, "Prototypes are not [K, C].")


def check_planted_defect_is_told_apart(subject: Subject[Bank]) -> None:
    """With the toy scorer of its kind, a bank that learns tells planted defects apart (patch AUROC above 0.9)."""
    given = toys()
    bank = subject.ready()
    scorer = toy_scorer_for(bank)
    if scorer is None or bank.learns_from is Source.NOTHING:
        return
    bank.fit(stream_for(bank, given), subject.ctx)
    scores = [scorer.score(part, bank).patches for part in given.test]
    reached = auroc(
        given.truth.numpy().ravel(), torch.cat([s.flatten() for s in scores if s is not None]).cpu().numpy()
    )
    require(reached > 0.9, f"It reached {reached:.3f}.")


def check_dropped_patches_teach_nothing(subject: Subject[Bank]) -> None:
    """A bank that drops patches learns the same whatever lies outside the foreground."""
    learned = []
    for noise in (0.0, 1000.0):
        given = toys()
        bank = subject.ready()
        if not bank.drops:
            return
        features = given.train.features
        patches, inside = features.need_patches(bank.title), torch.ones_like(given.truth)
        inside[:, :, :2] = inside[::2, :2] = False  # some more in every other image
        given.train.features = features.having(
            patches=torch.where(inside[..., None], patches, patches + noise), foreground=inside
        )
        bank.fit(given.train, subject.ctx)
        learned.append(fingerprint(contents(bank, given)))
    require(learned[0] == learned[1], "What lies outside the foreground changes what is learned.")


class Untouchable(FeatureStream):
    """An empty stream that must not be read."""

    @property
    def ids(self) -> tuple[str, ...]:
        return ()

    def __iter__(self) -> Iterator[Features]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Broken("It walked over the stream; declare learns_from = Source.TRAIN, or leave the stream alone.")


def _fitted(subject: Subject[Bank], given: Toys) -> Bank:
    bank = subject.ready()
    bank.fit(stream_for(bank, given), subject.ctx)
    return bank


def contents(bank: Bank, given: Toys) -> object:
    """The content of a bank that a scorer reads; for a kind outside the six, its state."""
    read = next((read for kind, read in _READERS.items() if isinstance(bank, kind)), None)
    return bank.state() if read is None else read(bank, given.test.features)


_READERS: dict[Any, Callable[[Any, Features], object]] = {
    VectorBank: lambda bank, _: (bank.vectors, list(bank.owners)),
    AlignedBank: lambda bank, _: bank.vectors,
    GaussianBank: lambda bank, _: (bank.mean, bank.precision),
    EnergyBank: lambda bank, query: bank.energy(query),
    ReconstructionBank: lambda bank, query: bank.reconstruct(query),
    PrototypeBank: lambda bank, _: (bank.normal, bank.abnormal),
}


RULES: dict[str, tuple[Rule, ...]] = {
    "bank": (
        check_fit_twice_is_fit_once,
        check_state_round_trip,
        check_one_image_is_enough,
        check_empty_stream_is_refused,
        check_nothing_is_never_read,
        check_contents_have_their_shapes,
        check_planted_defect_is_told_apart,
        check_dropped_patches_teach_nothing,
    )
}
