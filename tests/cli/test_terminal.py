"""Colours, columns and progress: only where somebody looks."""

from __future__ import annotations

import io

import pytest

from leyden.cli.terminal import Paint, Progress, columns


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colour_and_a_file_does_not() -> None:
    assert Paint(Terminal(), {})("bad", "no") == "\033[31mno\033[0m"
    assert Paint(io.StringIO(), {})("bad", "no") == "no"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(environ: dict[str, str]) -> None:
    assert Paint(Terminal(), environ)("bad", "no") == "no"


def test_an_empty_no_color_means_nothing() -> None:
    assert Paint(Terminal(), {"NO_COLOR": ""}).on


def test_what_has_no_style_stays_as_it_is() -> None:
    assert Paint(Terminal(), {})("", "text") == "text"


def test_columns_line_up_and_colour_takes_no_room() -> None:
    bad = Paint(Terminal(), {})("bad", "no")
    assert columns([("a", bad, "x"), ("long", "fine", "y")]) == (
        f"  a     {bad}    x\n  long  fine  y"
    )


def test_no_rows_are_no_text() -> None:
    assert columns([]) == ""


def test_progress_is_one_line_that_goes_away() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        progress = Progress(stream)
        progress.say("asking air")
        progress.clear()
    assert terminal.getvalue() == "\r\033[Kasking air\r\033[K"
    assert file.getvalue() == ""
