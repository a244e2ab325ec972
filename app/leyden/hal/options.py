"""Marks for driver options: how a number in a driver's OPTIONS is written in the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from leyden.units import UNITS, UnitError


@dataclass(frozen=True, slots=True)
class Quantity:
    """A float option that people write as text with a unit, `"250 ms"`; the driver gets `code`.

    Use it as `Annotated[float, Quantity("s")]`.

    Raises:
        UnitError: `code` is not a UCUM code that Leyden knows.
    """

    code: str

    def __post_init__(self) -> None:
        if self.code not in UNITS:
            raise UnitError(f'found unit "{self.code}", expected a code of leyden.units.UNITS')
