"""The keeper of the radio: what it asks of iwd, what it tells whoever stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
from appliance.card.cards import OWN_NAME, new_card, quiet, said, screen
from appliance.card.test_iwd import FakeBus

from leyden.appliance.card import record, wifi_fallback
from leyden.appliance.card.iwd import Iwd
from leyden.appliance.card.places import Card
from leyden.appliance.card.record import Settings, Wifi
from leyden.appliance.card.wifi_fallback import Keeper
from leyden.kernel import ManualClock

HOME = Wifi("Home", "correct horse", country="DE", access_point_password="AAAA-BBBB-CCCC")  # noqa: S106


class Time(ManualClock):
    """Time that goes on when somebody sleeps."""

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return new_card(tmp_path)


def run(card: Card, bus: FakeBus, seconds: float, keeper: Keeper | None = None) -> Keeper:
    keeper = keeper or Keeper(card, quiet(card), HOME, OWN_NAME, Iwd("Home", bus=bus), Time())
    end = keeper.clock.uptime() + seconds
    keeper.run(until=lambda: keeper.clock.uptime() >= end)
    return keeper


def test_without_a_link_it_serves_and_says_how_to_get_in(card: Card) -> None:
    bus = FakeBus()
    run(card, bus, 90)
    assert bus.mode == "ap"
    assert bus.started
    assert f'join "{OWN_NAME}" and open https://192.168.77.1' in screen(card)
    assert "password AAAA-BBBB-CCCC" in screen(card)


def test_the_password_is_for_the_screen_and_for_no_note(card: Card) -> None:
    run(card, FakeBus(), 90)
    (words,) = said(card, "wifi.fallback")
    assert "AAAA" not in words
    assert "correct horse" not in screen(card) + words


def test_the_way_in_is_told_once_and_not_at_each_retry(card: Card) -> None:
    bus = FakeBus()
    bus.refused = {"Scan"}
    run(card, bus, 900)
    assert screen(card).count("until it is back") == 1
    assert len(said(card, "wifi.fallback")) == 1


def test_it_is_told_again_after_a_link_was_lost_again(card: Card) -> None:
    bus = FakeBus()
    keeper = run(card, bus, 90)
    bus.mode, bus.state = "station", "connected"
    run(card, bus, 10, keeper)
    bus.state = "disconnected"
    run(card, bus, 120, keeper)
    assert screen(card).count("until it is back") == 2


def test_a_link_is_told_and_looked_at_less_often(card: Card) -> None:
    bus = FakeBus()
    bus.state = "connected"
    run(card, bus, 100)
    assert said(card, "wifi.linked") == ['Wi-Fi "Home" is joined']
    assert len(bus.asked) < 20


def test_a_network_that_comes_back_is_joined(card: Card) -> None:
    bus = FakeBus()
    keeper = run(card, bus, 200)
    bus.scanning, bus.networks = False, ["Home"]
    run(card, bus, 40, keeper)
    assert bus.mode == "station"
    bus.state = "connected"
    run(card, bus, 10, keeper)
    assert said(card, "wifi.linked")


def test_a_refusal_is_noted_and_tried_again(card: Card) -> None:
    bus = FakeBus()
    bus.refused = {"Start"}
    keeper = run(card, bus, 70)
    assert said(card, "wifi.refused")
    bus.refused = set()
    run(card, bus, 120, keeper)
    assert bus.started


def test_a_daemon_that_is_not_there_is_waited_for(card: Card) -> None:
    bus = FakeBus()
    bus.refused = {"GetManagedObjects"}
    keeper = run(card, bus, 600)
    bus.refused = set()
    run(card, bus, 90, keeper)
    assert bus.started


@pytest.mark.parametrize(
    "wifi",
    [Wifi(), Wifi("Home", "correct horse"), Wifi("Home", "x", country="DE", access_point=False)],
)
def test_without_a_wish_for_it_the_program_ends_well(card: Card, wifi: Wifi) -> None:
    record.save(card, Settings(wifi=wifi))
    assert wifi_fallback.main(["--root", str(card.root)]) == 0
    assert said(card, "wifi.no-fallback")


def test_a_damaged_record_is_said(card: Card) -> None:
    card.system.mkdir(parents=True)
    card.settings.write_text("{")
    assert wifi_fallback.main(["--root", str(card.root)]) == 0
    assert said(card, "settings.damaged")
