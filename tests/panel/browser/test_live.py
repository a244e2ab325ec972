"""Live values: what is shown is what arrived, and never better than it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from panel.browser.house import PHONE, House, Visitor, module, wait_until
from panel.browser.scripted import Plant
from playwright.sync_api import Locator, Page, expect

from leyden.panel.live import CLIENTS

pytestmark = pytest.mark.browser

NO_ANSWER = "no answer from 0x76 on i2c1; check the cable"
# A tile is looked at again each quarter of a second, and this machine may be busy.
LOOK_S = 0.25
BUSY_S = 0.5


def tile(page: Page, name: str) -> Locator:
    return page.locator("a.tile", has_text=name)


def mark(page: Page, name: str) -> str:
    classes = (tile(page, name).get_attribute("class") or "").split()
    return next(each for each in classes if each.startswith("is-"))


def in_page(page: Page, code: str, argument: Any = None) -> Any:
    """Run JavaScript with the page's own store as `store`."""
    address = json.dumps(module(page, "store.js"))
    return page.evaluate(
        f"async (a) => {{ const store = await import({address}); {code} }}", argument
    )


def record_events(page: Page) -> None:
    """Keep in the page every number that arrives from now on, gaps spelled out."""
    in_page(
        page,
        """
        window.seen = []; window.lost = []; window.from = store.head.value;
        store.onEvents((events, gaps) => {
          window.seen.push(...events.map(({ n }) => n));
          for (const gap of gaps) for (let n = gap.first; n <= gap.last; n++) window.lost.push(n);
        });
        """,
    )


def recorded(page: Page) -> list[int]:
    found: list[int] = page.evaluate("window.seen")
    return found


def expected(page: Page, plant: Plant) -> list[int]:
    first: int = page.evaluate("window.from")
    upto: int = in_page(page, "return store.head.value;")
    return [n for n in plant.numbers() if first < n <= upto]


def test_values_change_in_place(house: House, visit: Callable[..., Visitor]) -> None:
    page = visit(house).open("/")
    number = tile(page, "Air · temperature").locator(".number")
    number.evaluate("(node) => { node.ours = true; }")
    before = number.inner_text()
    wait_until(lambda: number.inner_text() != before, "another value", page=page)
    assert number.evaluate("(node) => node.ours"), "the number was made anew instead of changed"


def test_a_silent_device_goes_stale_then_bad_and_comes_back(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/")
    assert mark(page, "Air · temperature") == "is-good"
    in_page(
        page,
        """
        const air = store.channel("air.temperature");
        window.turns = [];
        air.view.subscribe(({ mark }) => {
          if (window.turns.at(-1)?.[0] !== mark) window.turns.push([mark, air.ageS]);
        });
        """,
    )
    house.plant.set_mode("air", "silent")
    expect(tile(page, "Air · temperature").locator(".is-struck")).to_be_visible(timeout=8000)
    house.plant.set_mode("air", "good")
    expect(tile(page, "Air · temperature").locator(".is-struck")).to_have_count(0)

    turns = page.evaluate("window.turns")
    assert [name for name, _ in turns] == ["good", "stale", "bad", "good"]
    stale_at, bad_at = turns[1][1], turns[2][1]
    assert 2.0 < stale_at < 2.0 + LOOK_S + BUSY_S
    assert 3.0 < bad_at < 3.0 + LOOK_S + BUSY_S


def test_no_good_mark_ever_stands_beside_an_old_value(
    house: House, visit: Callable[..., Visitor]
) -> None:
    """Every frame is looked at while a device stutters; the times are the page's own."""
    page = visit(house).open("/")
    in_page(
        page,
        """
        const now = () => performance.now() / 1000;
        const arrived = new Map(store.channels.value.map(({ key, ageS }) => [key, now() - ageS]));
        store.onEvents((events) => {
          for (const { route, quality } of events) if (quality !== "bad") arrived.set(route, now());
        });
        window.worst = 0;
        const look = () => {
          for (const tile of document.querySelectorAll("a.tile.is-good")) {
            const key = decodeURIComponent(tile.pathname.split("/")[2]);
            window.worst = Math.max(window.worst, now() - arrived.get(key));
          }
          requestAnimationFrame(look);
        };
        look();
        """,
    )
    for name in ("silent", "good", "silent", "good"):
        house.plant.set_mode("air", name)
        page.wait_for_timeout(2600)
    worst = page.evaluate("window.worst")
    assert 0.9 < worst < 2.0 + LOOK_S + BUSY_S, "good for longer than two periods"


def test_bad_keeps_the_last_value_beside_its_reason(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/")
    house.plant.set_mode("air", "bad", "no_data", NO_ANSWER)
    air = tile(page, "Air · temperature")
    expect(air.locator(".is-struck")).to_be_visible()
    assert air.locator(".is-struck").inner_text().startswith("2")
    assert NO_ANSWER in air.locator(".tile-reason").inner_text()
    assert air.locator(".mark.is-bad svg").count() == 1
    expect(page.locator(".status.is-bad")).to_contain_text("3 channels without a value")
    expect(page).to_have_title("3 bad · greenhouse · leyden")
    house.plant.set_mode("air", "good")
    expect(page.locator(".status.is-good")).to_contain_text("All 13 channels good")


def test_a_doubtful_value_says_why(house: House, visit: Callable[..., Visitor]) -> None:
    page = visit(house).open("/")
    house.plant.set_mode("soil", "uncertain", "saturated", "1023 of 1023 counts")
    soil = tile(page, "Soil · moisture 1")
    expect(soil.locator(".mark.is-uncertain")).to_be_visible()
    assert soil.locator(".tile-reason").inner_text() == (
        "at the end of its range · 1023 of 1023 counts"
    )
    assert soil.locator(".is-struck").count() == 0


@pytest.mark.parametrize("size", [PHONE, (1440, 900)], ids=["phone", "desk"])
def test_everything_is_grey_two_seconds_after_the_last_beat(
    house: House, visit: Callable[..., Visitor], size: tuple[int, int]
) -> None:
    visitor = visit(house, size)
    page = visitor.open("/")
    in_page(
        page,
        """
        store.contact.subscribe(({ state, heardAt }) => {
          if (state !== "live") window.silence = performance.now() / 1000 - heardAt;
        });
        """,
    )
    house.freeze_panel()
    visitor.complaints.offline = True
    expect(page.locator(".status.is-cut")).to_contain_text("No contact with the panel since")
    # The panel's own link may have been silent for half a second when it beat last.
    assert 1.4 < page.evaluate("window.silence") < 2.0 + BUSY_S + 0.5
    assert page.locator("a.tile.is-good").count() == 0
    hues = page.evaluate(
        """() => [...document.querySelectorAll("main *")].flatMap((node) => {
          const { color, fill, stroke, backgroundColor } = getComputedStyle(node);
          return [color, fill, stroke, backgroundColor];
        }).filter((value) => {
          const [r, g, b, a] = (value.match(/[\\d.]+/g) ?? []).map(Number);
          return a !== 0 && Math.max(r, g, b) - Math.min(r, g, b) > 16;
        })"""
    )
    assert hues == []
    house.thaw_panel()
    expect(page.locator(".notice")).to_contain_text("Back after")
    visitor.live(page)


def test_a_runtime_that_is_gone_is_told_from_a_panel_that_is(
    house: House, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(house)
    page = visitor.open("/")
    visitor.complaints.offline = True
    house.stop_link()
    expect(page.locator(".status.is-cut")).to_contain_text(
        "The panel has no contact with the runtime since"
    )
    house.start_link()
    visitor.live(page)
    expect(page.locator(".notice")).to_contain_text("none missing")


@pytest.mark.parametrize("way", ["killed", "frozen"])
def test_after_an_outage_nothing_is_missing_and_nothing_doubled(
    build: Callable[..., House], visit: Callable[..., Visitor], way: str
) -> None:
    house = build(Plant(period_s=0.2).start())
    visitor = visit(house)
    page = visitor.open("/")
    record_events(page)
    wait_until(lambda: len(recorded(page)) > 20, "events", page=page)
    visitor.complaints.offline = True
    for _ in range(2):
        if way == "killed":
            house.kill_panel()
        else:
            house.freeze_panel()
        page.locator(".status.is-cut").wait_for()
        page.wait_for_timeout(1000)
        if way == "killed":
            house.start_panel()
        else:
            house.thaw_panel()
        visitor.live(page)
    head = house.plant.head
    wait_until(lambda: recorded(page)[-1] >= head, "the stream to be caught up", page=page)
    assert recorded(page) == expected(page, house.plant)
    assert page.evaluate("window.lost") == []


def test_a_gap_in_the_numbers_is_said_and_shown(
    house: House, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(house)
    page = visitor.open("/events")
    record_events(page)
    gap = house.plant.skip_numbers(40, "crash")
    house.plant.publish("runtime.booted", {"devices": 5})
    row = page.locator(".event.is-gap")
    expect(row).to_contain_text("40 events missing")
    expect(row).to_contain_text("crash")
    assert page.evaluate("window.lost") == [*range(gap.first, gap.last + 1)]


def test_a_browser_that_falls_behind_is_told_what_it_was_spared(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    house = build(Plant(period_s=0.02, hurried=True).start())
    page = visit(house).open("/events")
    page.get_by_label("With readings").check()
    page.locator(".event").nth(20).wait_for()
    # On a busy machine the flood pushes that line out of the list before anybody looks again.
    page.evaluate(
        """() => {
            window.spared = "";
            new MutationObserver(() => {
                const line = document.querySelector(".event.is-spared");
                if (line) window.spared = line.textContent;
            }).observe(document.body, { childList: true, subtree: true });
            const end = performance.now() + 5000;
            while (performance.now() < end);
        }"""
    )
    expect(page.locator(".notice")).to_contain_text("readings passed over")
    page.wait_for_function("window.spared.includes('passed over')")
    newest = int(page.locator(".event-n").first.text_content() or 0)
    assert newest > house.plant.base


def test_reading_back_brings_every_event_there_is(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    """Over more than one page of the API, and down to where the log begins."""
    plant = Plant()
    plant.restart_numbers(0)
    for _ in range(120):
        plant.tick_all()
    house = build(plant)
    page = visit(house).open("/events")
    page.get_by_label("With readings").check()
    page.locator(".event").nth(50).wait_for()
    while page.get_by_role("button", name="Load older").count():
        page.get_by_role("button", name="Load older").click()
        page.wait_for_timeout(200)
    expect(page.get_by_text("That is where the log begins.")).to_be_visible()
    numbers = [int(text) for text in page.locator(".event-n").all_text_contents()]
    assert numbers == sorted(plant.numbers(), reverse=True)


def test_held_events_wait_until_they_are_asked_for(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/events")
    page.locator(".event").first.wait_for()
    page.get_by_role("button", name="Follow").click()
    before = page.locator(".event").count()
    house.plant.publish("service.sampler.restart", {"restarts": 1})
    expect(page.locator(".filter-state")).to_have_text("1 newer event")
    assert page.locator(".event").count() == before
    page.get_by_role("button", name="Follow").click()
    expect(page.locator(".event").first).to_contain_text("service.sampler.restart")
    page.get_by_label("Route or text").fill("SAMPLER rest")
    expect(page.locator(".event")).to_have_count(1)
    page.get_by_label("Route or text").fill("nothing like it")
    expect(page.get_by_text('No event loaded so far has "nothing like it" in it.')).to_be_visible()


def test_the_browsers_own_clock_does_not_matter(
    house: House, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(house)
    visitor.context.add_init_script(
        """const { now } = Date;
        Date.now = () => now() + 3600e3;
        window.Date = new Proxy(Date, {
          construct: (target, args) => (args.length ? new target(...args) : new target(Date.now())),
        });"""
    )
    page = visitor.open("/")
    page.wait_for_timeout(2500)
    assert page.locator("a.tile.is-good").count() == 13
    shown = page.locator(".contact time").inner_text()
    here = page.evaluate("new Date().toISOString()")
    assert shown[:5] != here[11:16], "the appliance's time is shown, not the browser's"


def test_a_stream_of_other_numbers_starts_the_page_anew(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    """The data directory was replaced: what the page knew belongs to nothing any more."""
    house = build()
    visitor = visit(house)
    page = visitor.open("/")
    page.evaluate("document.body.dataset.old = 'yes'")
    visitor.complaints.offline = True
    house.kill_panel()
    house.plant.restart_numbers(1000)
    house.start_panel()
    expect(page.locator("body[data-old]")).to_have_count(0)
    visitor.live(page)


def test_a_full_panel_says_so(house: House, visit: Callable[..., Visitor]) -> None:
    visitor = visit(house)
    page = visitor.open("/devices")
    page.evaluate(
        """async ([address, many]) => {
          const { io } = await import(address);
          for (let i = 0; i < many; i++) {
            const socket = io({ transports: ["websocket"], forceNew: true });
            socket.on("connect", () => socket.emit("sub", { after: null, routes: null }));
            socket.on("frame", ({ last }) => socket.emit("ack", { last }));
          }
        }""",
        [module(page, "../vendor/socket.io.js"), CLIENTS - 1],
    )
    other = visitor.tab()

    def full() -> bool:
        other.goto(house.url)
        return other.get_by_role("heading", name="The panel is full").count() == 1

    visitor.complaints.offline = True
    wait_until(full, "the panel to be full", page=other)


def test_a_refused_connection_says_that_the_panel_is_full(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/")
    in_page(page, "store.contact.value = { state: 'full', heardAt: null };")
    expect(page.get_by_role("heading", name="The panel is full")).to_be_visible()


def test_whoever_is_signed_out_is_led_to_sign_in_and_back(
    house: House, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(house)
    page = visitor.open("/devices")
    visitor.complaints.offline = True
    visitor.context.clear_cookies()
    page.wait_for_url("**/sign-in?next=*")
    page.get_by_label("Token").fill(house.token())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{house.url}/devices")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")


def test_the_one_time_link_leaves_no_token_behind(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/")
    page.go_back()
    assert "token" not in page.url


def test_a_device_added_while_running_gets_its_tiles(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    dust = plant.machines.pop("dust")
    house = build(plant.start())
    page = visit(house).open("/")
    assert page.locator("a.tile").count() == 10
    plant.add(dust)
    expect(page.locator("a.tile")).to_have_count(13)


def test_a_runtime_that_restarts_unnoticed_is_introduced_again(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/")
    expect(page.locator(".footer")).to_contain_text("boot 3")
    house.plant.boot = 4
    house.plant.publish("runtime.booted", {"devices": 5})
    expect(page.locator(".footer")).to_contain_text("boot 4")


@pytest.mark.slow
def test_the_heap_does_not_grow_with_the_number_of_events(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    house = build(Plant(period_s=0.02, hurried=True).start())
    visitor = visit(house)
    page = visitor.open("/")
    devtools = visitor.context.new_cdp_session(page)

    def heap() -> float:
        devtools.send("HeapProfiler.collectGarbage")
        return float(devtools.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

    page.wait_for_timeout(6000)
    first, begin = heap(), house.plant.head
    page.wait_for_timeout(20_000)
    grown = heap() - first
    events = house.plant.head - begin
    assert events > 3000
    assert grown < 1.0, f"{grown:.2f} MB more after {events} events"
