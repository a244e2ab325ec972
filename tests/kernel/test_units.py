"""Units: every conversion goes back, and what is no quantity is refused in words."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.units import UNITS, UnitError, convert, parse, parse_difference, unit

PAIRS = [
    (a.code, b.code)
    for a, b in itertools.product(UNITS.values(), repeat=2)
    if a.quantity == b.quantity
]


@given(st.sampled_from(PAIRS), st.floats(-1e6, 1e6))
def test_there_and_back_is_the_same_value(pair: tuple[str, str], value: float) -> None:
    there = convert(value, *pair)
    assert convert(there, *reversed(pair)) == pytest.approx(value, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "code", "value"),
    [
        ("10 s", "s", 10),
        ("10s", "s", 10),
        (" 1.5 min ", "s", 90),
        ("250 ms", "s", 0.25),
        (".5 h", "min", 30),
        ("-40 °F", "Cel", -40),
        ("21.5 °C", "K", 294.65),
        ("1013.25 hPa", "Pa", 101_325),
        ("3.3e3 mV", "V", 3.3),
        ("50 %", "1", 0.5),
        ("0.5", "1", 0.5),
        ("2 GB", "By", 2e9),
        ("400 kHz", "Hz", 400_000),
        ("5 μs", "ns", 5000),
    ],
)
def test_a_quantity_is_read_as_people_write_it(text: str, code: str, value: float) -> None:
    assert parse(text, code) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'expected a number and a unit such as "10 s"'),
        ("s", "expected a number and a unit"),
        ("nan s", "expected a number and a unit"),
        ("inf s", "expected a number and a unit"),
        ("10", "without a unit"),
        ("10 K", 'found temperature ("K"), expected time'),
        ("10 sek", 'unknown unit "sek"; did you mean "s'),
        ("1_0 s", "unknown unit"),
        ("1e400 s", "more than a number can hold"),
        ("-1e400 s", "more than a number can hold"),
    ],
)
def test_what_is_no_quantity_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(UnitError) as refused:
        parse(text, "s")
    assert words in str(refused.value)


def test_a_difference_has_no_zero_point() -> None:
    assert parse_difference("1 °F", "Cel") == pytest.approx(5 / 9)
    assert parse_difference("0.5 K", "Cel") == 0.5
    with pytest.raises(UnitError):
        parse_difference("1 Pa", "Cel")


def test_every_code_and_symbol_names_its_own_unit() -> None:
    assert [unit(code).code for code in UNITS] == list(UNITS)
    symbols = {row.symbol for row in UNITS.values() if row.symbol}
    assert {unit(symbol).symbol for symbol in symbols} == symbols
