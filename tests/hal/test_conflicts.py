"""Two devices in one place are found before either is opened; options carry their units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, get_type_hints

import pytest
from hal.parts import Options

from leyden.hal import Quantity
from leyden.hal.conflicts import Claim, claims_of, conflicts
from leyden.hal.i2c import address_fault
from leyden.units import UnitError


@dataclass(frozen=True)
class Line:
    line: int


@dataclass(frozen=True)
class ManyLines:
    lines: dict[str, Line] = field(default_factory=lambda: {"door": Line(4), "vent": Line(17)})


def test_two_chips_on_one_address_are_named_with_the_place() -> None:
    claims = [
        *claims_of("air", "i2c1", "i2c", Options(address=0x76)),
        *claims_of("cellar", "i2c1", "i2c", Options(address=0x76)),
        *claims_of("roof", "i2c2", "i2c", Options(address=0x76)),
    ]
    [sentence] = conflicts(claims)
    assert sentence.startswith("air and cellar both use address 0x76 on i2c1; give one of them")


@pytest.mark.parametrize(
    ("kind", "options", "places"),
    [
        ("i2c", Options(address=0x40), ["address 0x40"]),
        ("spi", Options(chip_select=1), ["chip select 1"]),
        ("uart", Options(), ["the line"]),
        ("gpio", Options(line=4), ["line 4"]),
        ("gpio", ManyLines(), ["line 4", "line 17"]),
        ("gpio", object(), []),
        ("none", Options(), []),
    ],
)
def test_each_kind_of_bus_has_its_places(kind: str, options: object, places: list[str]) -> None:
    assert [claim.place for claim in claims_of("x", "bus", kind, options)] == places


def test_every_conflict_is_told_in_a_fixed_order() -> None:
    claims = [Claim(d, "b", p) for p in ("z", "a") for d in ("two", "one", "three")]
    first, second = conflicts(claims)
    assert first.startswith("one and three and two both use a")
    assert second.startswith("one and three and two both use z")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (0x76, ""),
        (0x08, ""),
        (0x77, ""),
        (0x07, "found I2C address 0x07, expected 0x08 to 0x77"),
        (0xEC, "found I2C address 0xec, expected 0x08 to 0x77; did you mean 0x76?"),
    ],
)
def test_an_address_no_chip_can_have_is_found(address: int, words: str) -> None:
    assert address_fault(address) == words


def test_an_option_says_its_unit() -> None:
    @dataclass(frozen=True)
    class Timing:
        settle: Annotated[float, Quantity("s")] = 0.1

    hint = get_type_hints(Timing, include_extras=True)["settle"]
    assert hint.__metadata__ == (Quantity("s"),)


def test_an_option_of_an_unknown_unit_is_refused() -> None:
    with pytest.raises(UnitError, match='found unit "second"'):
        Quantity("second")
