"""What pages say of keys, options, commands, endpoints and reasons is what there is."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from manual.blocks import blocks, commands, first_cells, section
from pydantic import BaseModel

from leyden import manual
from leyden.appliance import drivers, tables
from leyden.appliance.options import option_names
from leyden.cli.main import COMMANDS
from leyden.flow.options import Option
from leyden.flow.stages import STAGES
from leyden.hal.mock.faults import APPLICABLE, FaultKind
from leyden.hal.mock.script import _READERS
from leyden.kernel import DeviceState, Role
from leyden.panel.api import BASE, Api
from leyden.panel.errors import _OF_REFUSAL

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "app" / "leyden" / "manual"


def test_every_page_is_listed_and_every_listed_page_is_there() -> None:
    assert set(manual.pages()) == {path.stem for path in FOLDER.glob("*.md")}


def test_every_page_has_a_title_that_says_what_it_is_about() -> None:
    for name, title in manual.pages().items():
        assert manual.page(name).startswith(f"# {title}\n\n")
        assert 10 < len(title) < 70


def test_every_example_says_in_its_first_line_what_it_is() -> None:
    assert all(len(about) > 20 for about in manual.examples().values())


@pytest.mark.parametrize("name", ["nothing", "../cli/main", "start.md"])
def test_only_pages_are_pages(name: str) -> None:
    with pytest.raises(KeyError):
        manual.page(name)
    with pytest.raises(KeyError):
        manual.example(name)


def test_pages_name_only_pages_that_exist() -> None:
    known = {*manual.pages(), *manual.examples(), "PAGE"}
    for name in manual.pages():
        for named in re.findall(r"`leyden manual ([a-z][a-z.-]*)`", manual.page(name)):
            assert named in known, f"{name} names {named}"


def test_lines_are_as_long_as_a_terminal_is_wide() -> None:
    for name in manual.pages():
        for number, line in enumerate(manual.page(name).splitlines(), 1):
            assert len(line) <= 130, f"{name}:{number}"


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("## [appliance]", tables.ApplianceTable),
        ("## [bus.NAME]", tables.BusTable),
        ("## [device.ID]", tables.DeviceTable),
        ("## [route.NAME]", tables.RouteTable),
        ("## [log]", tables.LogTable),
        ("## [panel]", tables.PanelTable),
    ],
)
def test_every_key_of_a_table_is_on_the_page(heading: str, table: type[BaseModel]) -> None:
    own = section("configuration", heading).partition("\n### ")[0]
    assert first_cells(own) == tables.keys(table)


def test_every_table_of_a_file_has_its_section() -> None:
    headings = re.findall(r"^## \[(\w+)", manual.page("configuration"), re.MULTILINE)
    assert headings == tables.keys(tables.File)


@pytest.mark.parametrize("stage", STAGES)
def test_every_option_of_a_stage_is_on_the_page(stage: str) -> None:
    hints = get_type_hints(STAGES[stage].options, include_extras=True)
    names = []
    for field in dataclasses.fields(STAGES[stage].options):
        option = hints[field.name].__metadata__[0]
        assert isinstance(option, Option)
        names.append(option.key or field.name)
    assert sorted(first_cells(section("configuration", f"### {stage}"))) == sorted(names)


@pytest.mark.parametrize("name", drivers.names())
def test_every_option_of_a_driver_is_on_the_page(name: str) -> None:
    options = drivers.load(name).options
    wanted = [*option_names(options), *_nested(options)]
    assert sorted(first_cells(section("devices", f"## {name}"))) == sorted(wanted)


def _nested(options: type) -> Iterator[str]:
    for hint in get_type_hints(options).values():
        for inner in get_args(hint):
            if dataclasses.is_dataclass(inner) and isinstance(inner, type):
                yield from option_names(inner)


@pytest.mark.parametrize("name", drivers.names())
def test_every_driver_has_the_readme_that_the_page_points_to(name: str) -> None:
    assert (ROOT / "drivers" / "leyden_drivers" / name / "README.md").is_file()


def _parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for name in COMMANDS:
        parser = importlib.import_module(COMMANDS[name][0]).parser()
        inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        if not inner:
            yield f"leyden {name}", parser
        for action in inner:
            for word, child in action.choices.items():
                yield f"leyden {name} {word}", child


PARSERS = dict(_parsers())


@pytest.mark.parametrize("command", PARSERS)
def test_every_argument_of_a_command_is_on_the_page(command: str) -> None:
    text = manual.page("command-line")
    match = re.search(rf"^## {command}(?: ([A-Z ]+))?$", text, re.MULTILINE)
    assert match, f"no section for {command}"
    rows = first_cells(section("command-line", match[0]))
    actions = [a for a in PARSERS[command]._actions if a.dest != "help"]
    options = {a.option_strings[-1] for a in actions if a.option_strings}
    assert {row.split()[0] for row in rows if row.startswith("-")} == options
    places = {str(a.metavar) for a in actions if not a.option_strings}
    named = {*(match[1] or "").split(), *(row for row in rows if not row.startswith("-"))}
    assert named == places


def test_every_section_of_the_page_is_a_command() -> None:
    page = manual.page("command-line")
    headings = re.findall(r"^## (leyden [a-z -]+?)(?: [A-Z ]+)?$", page, re.MULTILINE)
    assert headings == list(PARSERS)


def test_every_value_that_an_option_shows_is_taken() -> None:
    for row in first_cells(manual.page("command-line")):
        if " " in row and row.startswith("-"):
            flag, metavar = row.split()
            found = [
                action.metavar
                for parser in PARSERS.values()
                for action in parser._actions
                if flag in action.option_strings
            ]
            assert found
            assert metavar in (*found, "ROLE", "NAME")


def test_every_environment_variable_is_on_the_page() -> None:
    code = "".join(path.read_text() for path in (ROOT / "app" / "leyden" / "cli").glob("*.py"))
    assert set(re.findall(r"\bLEYDEN_[A-Z]+\b", code)) == {
        cell for cell in first_cells(manual.page("command-line")) if cell.startswith("LEYDEN_")
    }


def _endpoints() -> set[tuple[str, str]]:
    nobody: Any = None
    return {(e.method, e.path) for e in Api(nobody, nobody, nobody, "", nobody, nobody).endpoints()}


def test_every_endpoint_is_on_the_page() -> None:
    rows = [row.split() for row in first_cells(manual.page("http-api"))]
    shown = {(row[0], row[1]) for row in rows if row[0] in ("GET", "POST")}
    assert shown == _endpoints()


def test_addresses_in_examples_are_endpoints() -> None:
    patterns = [re.sub(r"<\w+>", "[^/]+", path) for _, path in _endpoints()]
    for block in blocks("console"):
        for command in commands(block):
            for word in command.words:
                if word.startswith("http"):
                    path = re.sub(r"^https?://[^/]+", "", word)
                    assert path.startswith(BASE)
                    assert any(re.fullmatch(pattern, path) for pattern in patterns), word


def test_every_error_code_on_the_page_is_given_with_that_status() -> None:
    code = "".join(path.read_text() for path in (ROOT / "app/leyden/panel").glob("*.py"))
    given = set(re.findall(r'PanelError\(\s*(\d{3}), "(\w+)"', code))
    given |= {(str(status), word) for word, status in _OF_REFUSAL.items()}
    rows = re.findall(r"^\| (\d{3}) \| (.+?) \|", manual.page("http-api"), re.MULTILINE)
    shown = {(status, word) for status, cell in rows for word in re.findall(r"`(\w+)`", cell)}
    assert len(shown) > 8
    assert shown <= given
    assert {status for status, _ in given} == {status for status, _ in shown}


def _reasons() -> set[str]:
    code = "".join(
        path.read_text()
        for folder in ("app/leyden/kernel", "app/leyden/flow", "drivers/leyden_drivers")
        for path in (ROOT / folder).rglob("*.py")
    )
    patterns = (r'Doubt\.(?:uncertain|bad)\(\s*"([a-z_]+)"', r'\breason = "([a-z_]+)"')
    return {word for pattern in patterns for word in re.findall(pattern, code)}


def test_every_reason_is_on_the_page() -> None:
    shown = set(first_cells(section("values-and-quality", "## Reasons")))
    assert shown == _reasons() - {"device_error"}  # the base class, which nothing raises


def test_every_device_state_is_on_the_page() -> None:
    shown = first_cells(section("values-and-quality", "## Device states"))
    assert shown == [str(state) for state in DeviceState]


def test_every_role_is_on_the_page() -> None:
    assert first_cells(section("panel", "## Signing in")) == [str(role) for role in Role]


def test_every_fault_is_on_the_page_with_the_buses_that_can_have_it() -> None:
    text = section("worlds-and-faults", "## Faults")
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\w, ]+) \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == [str(kind) for kind in FaultKind]
    for name, buses in rows:
        wanted = {kind for kind, faults in APPLICABLE.items() if name in faults}
        assert wanted == (set(APPLICABLE) if buses == "all" else set(buses.split(", "))), name


def test_every_course_is_on_the_page() -> None:
    shown = set(first_cells(section("worlds-and-faults", "## Courses")))
    assert shown == set(_READERS) - {"constant"}


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    words = re.findall(r"^\| ([a-z][a-z ]*) \|", manual.page("glossary"), re.MULTILINE)[1:]
    assert words == sorted(set(words))
    assert len(words) > 40


def test_the_drawing_of_processes_is_square() -> None:
    (drawing,) = (block for block in blocks("text") if block.page == "processes")
    tops = [line for line in drawing.text.splitlines() if line.count("┌") == 3]
    assert len(tops) == 1
