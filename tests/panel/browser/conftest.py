"""A browser for all tests, and for each a plant with its panel that complains about nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from panel.browser.house import House, Visitor, find_chromium, launch
from panel.browser.scripted import Plant
from playwright.sync_api import Browser, sync_playwright

from leyden.panel import vendor


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine; `make test` says how to bring one")
    vendor.bring()
    with sync_playwright() as playwright:
        found = launch(playwright, chromium)
        yield found
        found.close()


@pytest.fixture
def build() -> Iterator[Callable[..., House]]:
    """Makes houses and closes them afterwards."""
    houses: list[House] = []

    def make(plant: Plant | None = None, *, card: bool = False) -> House:
        house = House(plant or Plant().start(), card=card)
        houses.append(house)
        return house

    yield make
    for house in houses:
        house.close()


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    return build()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens signed-in windows; in the end none may have complained, or asked anything elsewhere."""
    visitors: list[Visitor] = []

    def make(house: House, *args: Any, **options: Any) -> Visitor:
        visitor = Visitor(browser, house, *args, **options)
        visitors.append(visitor)
        return visitor.sign_in()

    yield make
    for visitor in visitors:
        visitor.close()
    assert [each.complaints.problems for each in visitors] == [[]] * len(visitors)
    assert [each.complaints.foreign for each in visitors] == [[]] * len(visitors)
