"""Pictures of every page in every state, for eyes; what can be told without eyes is asserted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from panel import systems
from panel.browser.house import DESK, PHONE, House, Scheme, Visitor, shoot, wait_until
from panel.browser.scripted import Plant
from panel.browser.test_card import fill_claim
from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = {
    "overview": "/",
    "channel": "/channels/air.temperature",
    "devices": "/devices",
    "events": "/events",
    "system": "/system",
}
SIZES = {"390": PHONE, "1440": DESK}
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
NO_ANSWER = "no answer from 0x76 on i2c1; check the cable"


def normal() -> Plant:
    return Plant().start()


def stale() -> Plant:
    """Two devices that are read once a minute have missed two readings; one has never been late."""
    plant = Plant()
    for name in ("air", "soil"):
        plant.machines[name].every(60.0)
    plant.holes.append(("air", 420.0, 330.0, "uncertain"))
    plant.silent_since("air", 125.0, "no answer from 0x76 on i2c1")
    return plant.start()


def bad() -> Plant:
    plant = Plant()
    plant.holes += [("air", 400.0, 340.0, "bad"), ("air", 240.0, 200.0, "uncertain")]
    plant.tick()
    plant.set_mode("air", "bad", "no_data", NO_ANSWER)
    plant.set_mode("dust", "bad", "checksum", "found 0x1b2 where the frame says 0x1b0")
    plant.set_mode(
        "soil", "uncertain", "saturated", "1023 of 1023 counts; the probe may be shorted"
    )
    plant.skip_numbers(100, "crash")
    plant.publish("runtime.booted", {"devices": 5})
    return plant.start()


@contextmanager
def windows(
    visit: Callable[..., Visitor], house: House
) -> Iterator[tuple[dict[str, Page], list[Visitor]]]:
    """Every page at both widths and in both schemes, live."""
    tabs: dict[str, Page] = {}
    visitors: list[Visitor] = []
    for width, size in SIZES.items():
        for scheme in SCHEMES:
            visitor = visit(house, size, scheme)
            visitors.append(visitor)
            for name, path in PAGES.items():
                tabs[f"{name}-{width}-{scheme}"] = visitor.open(path, visitor.tab())
    yield tabs, visitors


@pytest.mark.parametrize("state", [normal, stale, bad], ids=lambda state: state.__name__)
@pytest.mark.timeout(180)
def test_each_page_is_pictured(
    state: Callable[[], Plant], build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    house = build(state())
    with windows(visit, house) as (tabs, _):
        for name, page in tabs.items():
            settle(page)
            shoot(page, f"{name}-{state.__name__}")
            assert not overflows(page), f"{name} is wider than its window"


@pytest.mark.timeout(180)
def test_each_page_is_pictured_without_contact(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    house = build(normal())
    with windows(visit, house) as (tabs, visitors):
        for page in tabs.values():
            settle(page)
        house.freeze_panel()
        for visitor in visitors:
            visitor.complaints.offline = True
        for name, page in tabs.items():
            page.locator(".status.is-cut").wait_for()
            shoot(page, f"{name}-disconnected")
        house.thaw_panel()


def settle(page: Page) -> None:
    """Wait until what a page draws later is there: sparklines, chart, lists."""
    drawn = ".sparkline .line[d*='L'], .plot canvas, .device, .event, .part"
    wait_until(lambda: page.locator(drawn).count() > 0, "something drawn", page=page)


def overflows(page: Page) -> bool:
    found: bool = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", SIZES)
@pytest.mark.timeout(120)
def test_the_rooms_between_are_pictured(
    width: str,
    scheme: Scheme,
    browser: Browser,
    build: Callable[..., House],
    visit: Callable[..., Visitor],
) -> None:
    """Signing in, waiting, nothing there, nothing to show, nobody answers, everything taken."""
    house = build(Plant(clock_state="unsynced").start())
    stranger = Visitor(browser, house, SIZES[width], scheme)
    shots = Album(f"{width}-{scheme}")
    stranger.page.goto(f"{house.url}/")
    shots.take(stranger.page, "sign-in")
    stranger.page.get_by_label("Token").fill("ley_wrong")
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("alert").wait_for()
    shots.take(stranger.page, "sign-in-refused")
    stranger.close()

    visitor = visit(house, SIZES[width], scheme)
    page = visitor.open("/")
    settle(page)
    shots.take(page, "clock-unset")
    page = visitor.open("/channels/air.humdity")
    shots.take(page, "unknown-channel")
    visitor.complaints.offline = True  # the browser reports every answer that is an error
    page.goto(f"{house.url}/nowhere")
    shots.take(page, "not-found")
    house.plant.machines.clear()
    visitor.open("/")
    shots.take(page, "no-channels")
    page.get_by_role("link", name="Devices", exact=True).first.click()
    page.get_by_text("No device is configured").wait_for()
    shots.take(page, "no-devices")
    house.stop_link()
    page.goto(f"{house.url}/")
    page.get_by_text("could not be read").wait_for()
    shots.take(page, "runtime-away")


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.timeout(120)
def test_what_a_person_opens_is_pictured(
    width: str, build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    house = build(bad())
    visitor = visit(house, SIZES[width], "light")
    shots = Album(f"{width}-light")
    page = visitor.open("/channels/air.temperature")
    settle(page)
    page.get_by_role("button", name="24 h").click()

    def oldest_has_a_spread() -> bool:
        page.get_by_role("slider").press("Home")
        return "(" in page.locator(".readout").inner_text()

    wait_until(oldest_has_a_spread, "a day of points", page=page)
    page.get_by_text("Table of this trend").click()
    shots.take(page, "day-and-table")
    page = visitor.open("/channels/vent.state")
    settle(page)
    shots.take(page, "state-channel")
    page = visitor.open("/events")
    page.get_by_label("With readings").check()
    page.get_by_label("Route or text").fill("air.")
    page.locator(".event.is-bad").first.wait_for()
    shots.take(page, "events-with-readings")
    house.plant.set_mode("air", "good")
    house.kill_panel()
    visitor.complaints.offline = True
    page.locator(".status.is-cut").wait_for()
    house.start_panel()
    page.get_by_text("Back after").wait_for()
    shots.take(page, "caught-up", whole=False)


def test_forced_colours_keep_every_mark(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    visitor = visit(build(bad()), DESK, "light", forced_colors="active")
    for name, path in PAGES.items():
        page = visitor.open(path)
        settle(page)
        Album("1440-forced").take(page, name)
    page = visitor.open("/")
    assert page.locator(".tile .mark.is-bad svg").count() == 6


APPLIANCES = {
    "well": systems.WELL,
    "staged": systems.STAGED,
    "trial": systems.TRIAL,
    "rolled-back": systems.ROLLED_BACK,
    "troubled": systems.TROUBLED,
    "laptop": systems.LAPTOP,
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", SIZES)
@pytest.mark.timeout(180)
def test_a_card_is_pictured_from_its_claim_on(
    width: str, scheme: Scheme, browser: Browser, build: Callable[..., House]
) -> None:
    plant = Plant()
    house = build(plant.start(), card=True)
    visitor = Visitor(browser, house, SIZES[width], scheme)
    page, shots = visitor.page, Album(f"{width}-{scheme}")
    code = house.leave_claim()
    page.goto(house.plain_url)
    shots.take(page, "claim")
    fill_claim(page, "0000-0000-0000")
    shots.take(page, "claim-refused")
    fill_claim(page, code)
    for name, system in APPLIANCES.items():
        plant.system = system
        plant.configuration = systems.CONFIGURATION if name == "troubled" else None
        visitor.open("/system")
        page.locator(".part").first.wait_for()
        shots.take(page, f"system-{name}")
    for name in ("trial", "rolled-back"):
        plant.system = APPLIANCES[name]
        settle(visitor.open("/"))
        shots.take(page, f"overview-{name}")
    page.goto(f"{house.url}/password")
    shots.take(page, "password")
    house.certificates.write_key()
    house.kill_panel()
    house.start_panel()
    page.goto(f"{house.plain_url}/sign-in")
    shots.take(page, "sign-in-not-encrypted")
    visitor.close()


class Album:
    """Names pictures alike."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    def take(self, page: Page, name: str, *, whole: bool = True) -> None:
        shoot(page, f"{name}-{self.suffix}", whole=whole)
        assert not overflows(page), f"{name} is wider than its window"
