"""For everybody: keyboard, screen reader, touch, contrast, and the look that was agreed on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from panel.browser.house import DESK, PHONE, ROOT, House, Scheme, Visitor, wait_until
from panel.browser.scripted import Plant, Wave
from playwright.sync_api import Browser, Page, expect

from leyden.panel import vendor

STYLE = vendor.HERE / "static" / "panel.css"
AXE = Path(__file__).parent / "axe"
PAGES = ("/", "/channels/air.temperature", "/devices", "/events", "/system")

# The agreed look: role -> (light, dark).
LOOK = {
    "ground": ("#f7f6f2", "#121312"),
    "raised": ("#ffffff", "#1b1c1b"),
    "ink": ("#1a1b19", "#ecebe4"),
    "soft": ("#5d5f59", "#a3a59d"),
    "rule": ("#dddbd2", "#30322e"),
    "signal": ("#3d5a80", "#8fb3d9"),
    "normal": ("#e9efe6", "#1f2a20"),
    "uncertain": ("#9a5b00", "#f0b04a"),
    "bad": ("#b3261e", "#ff8a7a"),
    "replay": ("#6b3fa0", "#c3a1f5"),
}
SIZES = {12, 14, 16, 20, 28, 44}


# The style sheet.


def themes() -> list[dict[str, str]]:
    """The colours of the light and the dark theme, as the style sheet has them."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.DOTALL)
    return [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", block)) for block in blocks[:2]]


def rules() -> str:
    """The style sheet without comments and without the themes."""
    text = re.sub(r"/\*.*?\*/", "", STYLE.read_text(), flags=re.DOTALL)
    return re.sub(r":root \{.*?\}", "", text, flags=re.DOTALL)


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_colours_are_those_agreed_on() -> None:
    light, dark = themes()
    assert light == {role: pair[0] for role, pair in LOOK.items()}
    assert dark == {role: pair[1] for role, pair in LOOK.items()}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_a_contrast_of_at_least_four_and_a_half(theme: int) -> None:
    colours = themes()[theme]
    text = itertools.product(("ink", "soft", "signal", "uncertain", "bad"), ("ground", "raised"))
    inverted = [("ground", "bad"), ("ground", "ink")]
    for one, other in [*text, *inverted]:
        assert contrast(colours[one], colours[other]) >= 4.5, f"{one} on {other}"


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_graphics_have_a_contrast_of_at_least_three(theme: int) -> None:
    colours = themes()[theme]
    marks = itertools.product(("signal", "uncertain", "bad"), ("ground", "raised", "normal"))
    for one, other in [*marks, ("signal", "rule"), ("soft", "ground"), ("replay", "ground")]:
        assert contrast(colours[one], colours[other]) >= 3, f"{one} on {other}"


def test_colours_are_named_once_and_used_by_name() -> None:
    assert not re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", rules())


def test_type_keeps_to_its_six_sizes_and_two_weights() -> None:
    sizes = {float(size) * 16 for size in re.findall(r"font-size: ([\d.]+)rem", rules())}
    assert sizes <= SIZES
    assert not re.findall(r"font-size: [\d.]+(?!rem)[a-z%]", rules().replace("font-size: 1em", ""))
    assert set(re.findall(r"font-weight: (\w+)", rules())) <= {"400", "600"}


def test_nothing_is_there_for_decoration() -> None:
    assert "gradient" not in rules()
    assert "shadow" not in rules()
    assert all(int(px) <= 3 for px in re.findall(r"border-radius: (\d+)px", rules()))


# The pages.


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.timeout(120)
def test_axe_finds_nothing_wrong(
    build: Callable[..., House], visit: Callable[..., Visitor], scheme: Scheme
) -> None:
    vendor.bring(AXE, ROOT / "build" / "browser")
    source = (ROOT / "build" / "browser" / "axe.js").read_text()
    plant = Plant()
    plant.tick()
    plant.set_mode("air", "bad", "no_data", "no answer from 0x76 on i2c1")
    plant.set_mode("soil", "uncertain", "saturated", "1023 of 1023 counts")
    # What judges the page is brought in past the page's own content policy, and must not meet a
    # sentence that is still fading in.
    options = {"bypass_csp": True, "reduced_motion": "reduce"}
    visitor = visit(build(plant.start()), DESK, scheme, **options)
    for path in PAGES:
        page = visitor.open(path)
        drawn(page)
        page.evaluate(source)
        assert judged_by_axe(page) == [], path


@pytest.mark.browser
def test_axe_finds_nothing_wrong_with_signing_in(browser: Browser, house: House) -> None:
    vendor.bring(AXE, ROOT / "build" / "browser")
    source = (ROOT / "build" / "browser" / "axe.js").read_text()
    visitor = Visitor(browser, house, PHONE, bypass_csp=True)
    visitor.page.goto(house.url)
    visitor.page.evaluate(source)
    assert judged_by_axe(visitor.page) == []
    visitor.close()


def judged_by_axe(page: Page) -> list[str]:
    found = page.evaluate(
        """async () => {
          const { violations } = await axe.run(document, { resultTypes: ["violations"] });
          return violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(" ")}`);
        }"""
    )
    return list(found)


def drawn(page: Page) -> None:
    page.locator(".tile, .plot canvas, .device, .event, .part").first.wait_for()


@pytest.mark.browser
def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/")
    drawn(page)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => {
              const here = document.activeElement;
              const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(here);
              const words = here.innerText.replace(/\\s+/g, " ").trim();
              return [words, `${outlineStyle} ${outlineWidth} ${outlineColor}`];
            }"""
        )
        if name == "Sign out":
            break
        reached.append(name)
        assert outline == "solid 2px rgb(61, 90, 128)", name
    ways = ["Overview", "Devices", "Events", "System"]
    assert reached[:6] == ["Skip to the values", "leyden", *ways]
    assert len(reached) == 6 + 13
    assert reached[6].startswith("Air · temperature")


@pytest.mark.browser
def test_the_skip_link_leads_past_the_header(house: House, visit: Callable[..., Visitor]) -> None:
    page = visit(house).open("/")
    drawn(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the values")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className").startswith("tile")


@pytest.mark.browser
def test_a_tile_opens_its_channel_and_back_returns(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/")
    page.evaluate("window.same = true")
    page.locator("a.tile").nth(1).press("Enter")
    expect(page.get_by_role("heading", name="Air · humidity")).to_be_focused()
    expect(page).to_have_title("Air · humidity · greenhouse · leyden")
    page.go_back()
    expect(page.locator("a.tile")).to_have_count(13)
    assert page.evaluate("window.same"), "the document was loaded again"


@pytest.mark.browser
def test_the_charts_cursor_moves_with_the_keys_and_says_where_it_is(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/channels/air.temperature")
    drawn(page)
    chart = page.get_by_role("slider", name="Trend of Air · temperature, last 10 min")
    readout = page.locator(".readout")
    wait_until(lambda: chart.get_attribute("aria-valuemax") not in {None, "0"}, "data", page=page)
    chart.press("Home")
    first = readout.inner_text()
    assert re.fullmatch(r"\d\d:\d\d:\d\d · \d\d\.\d °C.* · good", first)
    assert chart.get_attribute("aria-valuetext") == first
    chart.press("ArrowRight")
    assert readout.inner_text() > first
    chart.press("End")
    newest = readout.inner_text()
    chart.press("Escape")
    wait_until(lambda: readout.inner_text() > newest, "the newest value again", page=page)


@pytest.mark.browser
def test_the_trend_is_there_as_a_table_too(house: House, visit: Callable[..., Visitor]) -> None:
    page = visit(house).open("/channels/air.temperature")
    page.get_by_text("Table of this trend").click()
    rows = page.locator("table tbody tr")
    expect(rows).to_have_count(20)
    first = rows.first.inner_text()
    page.get_by_role("button", name="Older").click()
    wait_until(lambda: rows.first.inner_text() != first, "older rows", page=page)


@pytest.mark.browser
@pytest.mark.parametrize("path", PAGES)
def test_what_is_touched_is_large_enough_for_a_finger(
    house: House, visit: Callable[..., Visitor], path: str
) -> None:
    page = visit(house, PHONE, has_touch=True).open(path)
    drawn(page)
    small = page.evaluate(
        """() => [...document.querySelectorAll("a, button, summary, input, [role=slider]")]
          .filter((node) => node.checkVisibility() && !node.closest(".message, .skip"))
          .map((node) => [node.innerText, (node.closest("label") ?? node).getBoundingClientRect()])
          .filter(([, { width, height }]) => width < 44 || height < 44)
          .map(([name, { width, height }]) => `${name} ${width}x${height}`)"""
    )
    assert [each for each in small if not each.startswith("Skip")] == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 768, 1024, 2560])
def test_no_page_is_wider_than_its_window(
    build: Callable[..., House], visit: Callable[..., Visitor], width: int
) -> None:
    """With a long name and long numbers as well."""
    plant = Plant(name="north-greenhouse-with-a-very-long-name")
    plant.machines["air"].waves = (Wave(-1_234_567.25, 0.1, 9),) * 3
    visitor = visit(build(plant.start()), (width, 800))
    for path in PAGES:
        page = visitor.open(path)
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.browser
def test_motion_is_left_out_for_those_who_ask(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    plant.tick()
    plant.set_mode("air", "bad", "no_data", "no answer")
    house = build(plant.start())
    for asked, expected in (("reduce", "none"), ("no-preference", "appear")):
        page = visit(house, reduced_motion=asked).open("/")
        mark = page.locator(".tile .mark.is-bad").first
        mark.wait_for()
        assert mark.evaluate("(node) => getComputedStyle(node).animationName") == expected


@pytest.mark.browser
def test_only_sentences_are_announced_and_never_values(
    house: House, visit: Callable[..., Visitor]
) -> None:
    page = visit(house).open("/")
    drawn(page)
    loud = page.locator("[role=status], [role=alert], [aria-live]")
    texts = loud.all_inner_texts()
    assert texts == ["All 13 channels good", ""]
