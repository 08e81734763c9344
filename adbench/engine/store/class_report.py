"""The report of a method that names the type of a defect: confusions, calibration and sets of classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from adbench.api.curves.classes import ClassPredictions

MAX_CLASSES = 200
_Rate = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0)]


class ClassReport(BaseModel):
    """The classes of one category's test images, as a method says them."""

    names: list[Annotated[str, Field(max_length=500)]] = Field(
        min_length=2, max_length=MAX_CLASSES, description="of the classes; the first is normal"
    )
    confusion: list[list[_Count]] = Field(
        max_length=MAX_CLASSES, description="images of the class of a row that are said to be of the class of a column"
    )
    calibration_error: _Rate = Field(description="expected calibration error in 15 bins of confidence")
    set_size: float = Field(ge=0, le=MAX_CLASSES, description="mean size of conformal sets that may miss one in ten")
    coverage: _Rate = Field(description="share of images whose conformal set has their class")
    lowest_coverage: _Rate = Field(description="the same for the class where it is lowest")

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _square(self) -> ClassReport:
        count = len(self.names)
        if len(self.confusion) != count or any(len(row) != count for row in self.confusion):
            raise ValueError(f"confusion is no table of {count} classes by {count}")
        return self

    @classmethod
    def of(cls, found: ClassPredictions) -> ClassReport:
        """The report of predicted classes, figures to 6 decimals."""
        sets = found.conformal()
        return cls(
            names=list(found.names),
            confusion=found.confusion.tolist(),
            calibration_error=round(found.calibration_error(), 6),
            set_size=round(sets.size, 6),
            coverage=round(sets.coverage, 6),
            lowest_coverage=round(sets.lowest, 6),
        )

    def recalls(self) -> Iterator[tuple[str, int, int]]:
        """Each class that has images: its name, how many of them are said to be of it, and how many there are."""
        for place, (name, row) in enumerate(zip(self.names, self.confusion, strict=True)):
            if sum(row):
                yield name, row[place], sum(row)

    def facts(self) -> dict[str, float]:
        """The figures for a record's facts."""
        return {
            "calibration_error": self.calibration_error,
            "conformal_set_size": self.set_size,
            "conformal_coverage": self.coverage,
            "conformal_lowest_coverage": self.lowest_coverage,
        }
