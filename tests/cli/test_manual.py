"""`leyden manual`: lists and prints pages, and pages only where somebody looks."""

from __future__ import annotations

import pydoc
import sys

import pytest
from cli.conftest import Call

from leyden import manual


def test_the_list_has_every_page_and_example(leyden: Call) -> None:
    result = leyden("manual")
    assert result.code == 0
    for name, title in {**manual.pages(), **manual.examples()}.items():
        assert any(line.split()[:1] == [name] and title in line for line in result.lines)


@pytest.mark.parametrize("name", [*manual.pages(), "start.md"])
def test_a_page_is_printed_as_it_stands(name: str, leyden: Call) -> None:
    result = leyden("manual", name)
    assert (result.code, result.err) == (0, "")
    assert result.out == manual.page(name.removesuffix(".md"))


@pytest.mark.parametrize("name", manual.examples())
def test_an_example_is_printed_ready_to_be_copied(name: str, leyden: Call) -> None:
    assert leyden("manual", name).out == manual.example(name)


def test_an_unknown_page_is_refused_with_the_nearest(leyden: Call) -> None:
    result = leyden("manual", "configuraton")
    assert (result.code, result.out) == (2, "")
    assert 'no page "configuraton"' in result.err
    assert 'did you mean "configuration"?' in result.err


def test_a_terminal_gets_a_pager(leyden: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(pydoc, "pager", shown.append)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert leyden("manual", "start").out == ""
    assert shown == [manual.page("start")]
