"""The scorer by the energy of a bank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Component, ContractError, EnergyBank, Scorer, Scores

if TYPE_CHECKING:
    from adbench import Features


class Energy(Scorer):
    """A patch's score is the energy that an `EnergyBank` gives it."""

    name: ClassVar[str] = "energy"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = EnergyBank  # type: ignore[type-abstract]

    class Config(Component.Config):
        """No options."""

    config: Config

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """A flow on patches, and the mean of the top 1 %."""
        return {"bank": {"cflow": {"reads": "patches"}}, "aggregate": {"top-fraction": {"fraction": 0.01}}}

    def score(self, query: Features, bank: Bank) -> Scores:
        """Scores of a batch [B, H, W].

        Raises:
            ContractError: the bank's energies have another shape, or are not finite.
        """
        import torch

        assert isinstance(bank, EnergyBank)
        energies = bank.energy(query).float()
        if energies.ndim != 3 or len(energies) != len(query):
            raise ContractError(bank.title, f"energy() must return [{len(query)}, H, W], got {list(energies.shape)}")
        if not torch.compiler.is_exporting() and not energies.isfinite().all():
            raise ContractError(bank.title, "energy() must return finite values, but has NaN or infinity")
        return Scores(energies)
