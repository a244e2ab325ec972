"""Which plan is run: the configuration, the one that ran before, the default, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from leyden.appliance.attempts import MOST, Attempts
from leyden.appliance.choosing import Choice, Chooser, Configured, Source
from leyden.appliance.judge import Verdict
from leyden.appliance.plan import Plan
from leyden.appliance.plan_cache import JUDGED, RAN, PlanCache, key_of


class Card:
    """A data directory, and a judge who counts: "bad …" is refused, anything else is a name."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "appliance.toml"
        self.default = folder / "default.toml"
        self.default.write_text("standard")
        self.plans = folder / "plan"
        self.judged: list[Path] = []
        self.said: list[str] = []
        self.attempts = Attempts(folder / "starts.json")
        self.code = "1"

    def judge(self, path: Path) -> Verdict:
        self.judged.append(path)
        text = path.read_text()
        if text.startswith("bad"):
            return Verdict(None, tuple(f"{path.name}: {line}" for line in text.splitlines()))
        return Verdict(Plan(text))

    def chooser(self) -> Chooser:
        cache = PlanCache(self.plans, self.said.append)
        return Chooser(self.config, self.default, cache, self.attempts, self.judge, self.code)

    def run(self, *refused: str) -> tuple[Chooser, Choice]:
        """Choose as the runtime does, where plans of these names cannot be put together."""
        chooser = self.chooser()
        for choice in chooser.choices():
            self.attempts.begin(choice.key)
            if choice.plan.name in refused:
                chooser.refuse(choice, f"{choice.plan.name} does not fit")
                self.attempts.over(choice.key)
                continue
            chooser.came_up(choice)
            return chooser, choice
        raise AssertionError("nothing was left to run")

    def crash(self) -> Choice:
        """Begin as the runtime does, and die before anything is said."""
        choice = next(self.chooser().choices())
        self.attempts.begin(choice.key)
        return choice


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    made = Card(tmp_path)
    yield made
    assert made.said == []


def test_a_sound_configuration_runs_and_is_judged_once(card: Card) -> None:
    card.config.write_text("greenhouse")
    for _ in range(3):
        chooser, choice = card.run()
        assert (choice.plan.name, choice.source) == ("greenhouse", Source.CONFIGURATION)
        assert chooser.told(choice) == Configured(
            Source.CONFIGURATION, "", str(card.config), "greenhouse"
        )
        assert chooser.words(choice) == f"{card.config} is used"
    assert card.judged == [card.config]


@pytest.mark.parametrize("change", ["content", "place", "code"])
def test_it_is_judged_again_when_anything_it_rests_on_has_changed(card: Card, change: str) -> None:
    card.config.write_text("greenhouse")
    card.run()
    if change == "content":
        card.config.write_text("cellar")
    elif change == "place":
        card.config = card.config.rename(card.config.with_name("other.toml"))
    else:
        card.code = "2"
    card.run()
    assert len(card.judged) == 2


def test_without_a_configuration_the_default_one_runs_and_nothing_is_wrong(card: Card) -> None:
    chooser, choice = card.run()
    assert (choice.plan.name, choice.source) == ("standard", Source.DEFAULT)
    assert chooser.problems == []
    assert (
        chooser.words(choice) == f"there is no {card.config} yet; the default configuration is used"
    )
    assert not (card.plans / RAN).exists()  # the default is there anyway


def test_a_broken_configuration_gives_way_to_the_plan_that_ran_before_it(card: Card) -> None:
    card.config.write_text("greenhouse")
    card.run()
    card.config.write_text("bad unit\nbad name")
    chooser, choice = card.run()
    assert (choice.plan.name, choice.source) == ("greenhouse", Source.LAST)
    assert chooser.told(choice).problems == (
        "appliance.toml: bad unit", "appliance.toml: bad name"
    )  # fmt: skip
    assert chooser.words(choice) == (
        "appliance.toml: bad unit; appliance.toml: bad name; "
        "the plan that ran before is used instead"
    )
    card.config.write_text("greenhouse 2")
    assert card.run()[1].source is Source.CONFIGURATION


def test_a_broken_first_configuration_gives_way_to_the_default(card: Card) -> None:
    card.config.write_text("bad")
    chooser, choice = card.run()
    assert (choice.plan.name, choice.source) == ("standard", Source.DEFAULT)
    assert chooser.words(choice).endswith("the default configuration is used instead")


def test_a_plan_that_cannot_be_put_together_gives_way_with_the_reason(card: Card) -> None:
    card.config.write_text("greenhouse")
    card.run()
    card.config.write_text("cellar")
    chooser, choice = card.run("cellar")
    assert (choice.plan.name, choice.source) == ("greenhouse", Source.LAST)
    assert chooser.problems == [f"{card.config}: cellar does not fit"]


def test_what_ran_before_and_does_not_fit_any_more_is_not_tried_twice(card: Card) -> None:
    card.config.write_text("greenhouse")
    card.run()
    chooser, choice = card.run("greenhouse")
    assert choice.source is Source.DEFAULT
    assert len(chooser.problems) == 1


def test_nothing_runs_where_nothing_is_sound_and_every_reason_is_told(card: Card) -> None:
    card.config.write_text("bad one")
    card.default.unlink()
    chooser, choice = card.run()
    assert (choice.plan, choice.source) == (Plan("leyden", "Leyden"), Source.NOTHING)
    assert chooser.problems == ["appliance.toml: bad one", f"{card.default}: is missing"]
    assert chooser.words(choice).endswith("nothing is left to run, so no device is used")


def test_a_plan_that_kills_the_runtime_has_three_chances_in_a_row(card: Card) -> None:
    card.config.write_text("deadly")
    assert [card.crash().plan.name for _ in range(MOST)] == ["deadly"] * MOST
    chooser, choice = card.run()
    assert choice.source is Source.DEFAULT
    assert f"was started {MOST} times in a row" in chooser.problems[0]
    assert card.run()[1].source is Source.DEFAULT  # and no more until the machine starts again
    card.config.write_text("mended")
    assert card.run()[1].plan.name == "mended"


def test_a_plan_that_came_up_has_all_its_chances_again(card: Card) -> None:
    card.config.write_text("greenhouse")
    for _ in range(MOST):
        card.crash()
        assert card.run()[1].source is Source.CONFIGURATION


@pytest.mark.parametrize("name", [JUDGED, RAN])
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"[]", b"{}", b"\xff\xfe", b'{"key":1}'])
def test_a_damaged_cache_counts_as_none(card: Card, name: str, content: bytes) -> None:
    card.config.write_text("greenhouse")
    card.run()
    (card.plans / name).write_bytes(content)
    assert card.run()[1].plan.name == "greenhouse"


@pytest.mark.parametrize("content", [b"", b"\0\0", b"[3]", b'{"a":"b"}', b"\xff"])
def test_damaged_counts_count_as_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "starts.json"
    file.write_bytes(content)
    attempts = Attempts(file)
    assert not attempts.spent("a")
    attempts.begin("a")
    assert msgspec.json.decode(file.read_bytes()) == {"a": 1}


def test_a_disk_that_keeps_no_plan_is_told_and_keeps_nothing_from_running(tmp_path: Path) -> None:
    card = Card(tmp_path)
    card.config.write_text("greenhouse")
    card.plans.write_text("a file stands in the way")
    assert card.run()[1].plan.name == "greenhouse"
    assert all("could not be kept" in line for line in card.said)
    assert len(card.said) == 2  # as judged, and as one that ran


def test_the_counts_may_be_lost_without_harm(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "no such folder" / "starts.json")
    attempts.begin("a")
    attempts.over("a")
    assert not attempts.spent("a")


def test_a_pipe_in_place_of_the_configuration_is_not_waited_for(card: Card) -> None:
    os.mkfifo(card.config)
    chooser, choice = card.run()
    assert choice.source is Source.DEFAULT
    assert chooser.problems == [f"{card.config}: is no file"]


def test_a_thousand_problems_are_told_shortly(card: Card) -> None:
    card.config.write_text("\n".join(f"bad {i}" for i in range(1000)))
    chooser, choice = card.run()
    assert len(chooser.told(choice).problems) == 21
    assert chooser.told(choice).problems[-1] == "… and 980 more"


def test_parts_of_a_key_never_run_into_each_other() -> None:
    assert key_of(Path("ab"), b"c", "d") != key_of(Path("a"), b"bc", "d")
    assert key_of(Path("a"), b"b", "cd") != key_of(Path("ca"), b"b", "d")
