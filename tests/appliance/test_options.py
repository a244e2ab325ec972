"""Options of drivers, read from a table as strictly as TOML wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.options import OptionError, option_names, read_options
from leyden.hal import Quantity
from leyden.kernel import ComponentError


class Pull(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Line:
    line: int
    pull: Pull = Pull.UP
    hold: Annotated[float, Quantity("s")] | None = None

    def __post_init__(self) -> None:
        if self.line < 0:
            raise ComponentError(f"line: found {self.line}, expected 0 or more")


@dataclass(frozen=True, slots=True)
class Options:
    lines: Mapping[str, Line] = field(default_factory=dict)
    more: tuple[Line, ...] = ()
    every: Annotated[float, Quantity("s")] = 1.0
    share: Annotated[float, Quantity("1")] = 0.5
    count: int = 1
    on: bool = False
    word: str = ""

    def __post_init__(self) -> None:
        for name, line in self.lines.items():
            if line.line > 27:
                raise ComponentError(f"lines.{name}.line: found {line.line}, expected 0 to 27")
        if self.word == "bad":
            raise ComponentError("word and nothing else: is bad")


def refused(table: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(OptionError) as caught:
        read_options(Options, table)
    return [(".".join(path), text) for path, text in caught.value.problems]


def test_a_table_becomes_the_drivers_own_dataclass() -> None:
    options = read_options(
        Options,
        {"lines": {"door": {"line": 17, "pull": "down", "hold": "20 ms"}}, "every": "2 min"},
    )
    assert options == Options({"door": Line(17, Pull.DOWN, 0.02)}, every=120.0)


def test_lists_of_tables_are_read_like_tables() -> None:
    options = read_options(Options, {"more": [{"line": 3, "hold": "1 s"}]})
    assert options.more == (Line(3, hold=1.0),)


def test_an_unset_quantity_keeps_its_default() -> None:
    assert read_options(Options, {"more": [{"line": 3}]}).more[0].hold is None


def test_a_share_may_be_a_bare_number_or_a_percentage() -> None:
    assert read_options(Options, {"share": 0.25}).share == 0.25
    assert read_options(Options, {"share": "25 %"}).share == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("table", "place", "words"),
    [
        ({"count": "118"}, "count", 'found "118", expected a whole number, without quotes'),
        ({"count": True}, "count", "found true, expected a whole number"),
        ({"count": 1.5}, "count", "found 1.5, expected a whole number"),
        ({"on": 1}, "on", "found 1, expected true or false"),
        ({"word": 5}, "word", "found 5, expected text in quotes"),
        ({"every": 5}, "every", 'found 5, expected text with a unit such as "10 s"'),
        ({"every": True}, "every", 'found true, expected text with a unit such as "10 s"'),
        (
            {"share": True},
            "share",
            'found true, expected a number such as 0.5, or text such as "50 %"',
        ),
        ({"lines": {"a": {"line": -1}}}, "lines.a.line", "found -1, expected 0 or more"),
        ({"lines": {"a": {"line": 40}}}, "lines.a.line", "found 40, expected 0 to 27"),
        ({"lines": {"a": {}}}, "lines.a.line", "missing; add it"),
        ({"lines": {"a": 3}}, "lines.a", "found 3, expected a table"),
        ({"lines": 3}, "lines", "found 3, expected a table"),
        ({"more": {"line": 3}}, "more", "found a table, expected a list"),
        (
            {"more": [{"line": 3, "pull": "dwon"}]},
            "more.0.pull",
            'found "dwon", expected one of up, down; did you mean "down"?',
        ),
        (
            {"lines": {"a": {"lin": 3}}},
            "lines.a.lin",
            'unknown key "lin", expected one of line, pull, hold; did you mean "line"?',
        ),
        (
            {"more": [{"line": 3, "hold": "1 V"}]},
            "more.0.hold",
            'found voltage ("V"), expected time such as "10 s"',
        ),
        ({"word": "bad"}, "", "word and nothing else: is bad"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_place(
    table: dict[str, Any], place: str, words: str
) -> None:
    assert refused(table) == [(place, words)]


def test_everything_that_does_not_fit_is_named_at_once() -> None:
    table = {"every": 5, "lines": {"a": {"line": 1, "hold": 5}}, "wrod": "x"}
    assert [place for place, _ in refused(table)] == ["wrod", "every", "lines.a.hold"]


def test_keys_of_the_placement_are_offered_as_well() -> None:
    with pytest.raises(OptionError, match='did you mean "driver"'):
        read_options(Options, {"drvier": "x"}, placement=["driver", "bus"])


def test_the_names_of_options_are_those_of_the_dataclass() -> None:
    assert option_names(Line) == ["line", "pull", "hold"]


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*option_names(Options), "x"]), _plain))
def test_no_table_gets_past_or_breaks_it(table: dict[str, Any]) -> None:
    try:
        options = read_options(Options, table)
    except OptionError:
        return
    assert type(options.count) is int
    assert type(options.on) is bool
    assert all(line.line >= 0 for line in options.lines.values())
