"""An appliance on its card as people meet it: claimed, owned, updated, and honest about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from panel import systems
from panel.browser.house import DESK, PHONE, ROOT, House, Scheme, Visitor, wait_until
from panel.browser.scripted import Plant
from panel.browser.test_access import AXE, judged_by_axe
from playwright.sync_api import Browser, Page, expect

from leyden.kernel import Role
from leyden.panel import vendor
from leyden.panel.auth import new_token, sign_in_path

pytestmark = pytest.mark.browser

WORDS = "correct horse battery"
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@pytest.fixture
def stranger(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens windows in which nobody has signed in."""
    visitors: list[Visitor] = []

    def make(house: House, size: tuple[int, int] = DESK, scheme: Scheme = "light") -> Visitor:
        visitors.append(Visitor(browser, house, size, scheme, bypass_csp=True))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.close()
    assert [each.complaints.problems for each in visitors] == [[]] * len(visitors)
    assert [each.complaints.foreign for each in visitors] == [[]] * len(visitors)


def fill_claim(page: Page, code: str, password: str = WORDS, again: str = "") -> None:
    page.get_by_label("Code").fill(code)
    page.get_by_label("New password").fill(password)
    page.get_by_label("The same again").fill(again or password)
    page.get_by_role("button", name="Claim this appliance").click()


def fill_password(page: Page, password: str) -> None:
    page.get_by_label("Password or token").fill(password)
    page.get_by_role("button", name="Sign in").click()


def owned(house: House, visitor: Visitor) -> Page:
    """Claim the house and return its first page."""
    code = house.leave_claim()
    visitor.page.goto(house.url)
    fill_claim(visitor.page, code)
    visitor.live()
    return visitor.page


# The claim.


def test_from_the_plain_address_to_live_values(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    code = house.leave_claim()
    visitor = stranger(house, PHONE)
    page = visitor.page
    page.goto(f"{house.plain_url}/devices")
    expect(page).to_have_url(f"{house.url}/claim")
    expect(page.get_by_label("Code")).to_be_focused()
    expect(page.get_by_role("heading", name="This appliance is new")).to_be_visible()
    page.keyboard.type(code.lower().replace("-", " "))
    page.keyboard.press("Tab")
    page.keyboard.type(WORDS)
    page.keyboard.press("Tab")
    page.keyboard.type(WORDS)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{house.url}/")
    visitor.live()
    expect(page.get_by_text("admin", exact=True)).to_be_visible()
    page.goto(f"{house.url}/claim")
    expect(page).to_have_url(f"{house.url}/")


def test_a_wrong_code_is_told_beside_the_field_that_is_wrong(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    house.leave_claim()
    visitor = stranger(house)
    visitor.complaints.offline = True  # the browser reports every answer that is an error
    page = visitor.page
    page.goto(house.url)
    for _ in range(3):
        fill_claim(page, "0000-0000-0000")
        expect(page.get_by_role("alert")).to_have_text(
            "This is not the code that the machine shows"
        )
        expect(page.get_by_label("Code")).to_have_value("0000-0000-0000")
        expect(page.get_by_label("Code")).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label("New password")).to_have_value("")
    fill_claim(page, "0000-0000-0000")
    expect(page.get_by_role("alert")).to_contain_text("Too many wrong codes lately; wait")
    expect(page).to_have_url(f"{house.url}/claim")


def test_two_passwords_that_differ_are_told_and_the_code_stays(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    code = house.leave_claim()
    visitor = stranger(house)
    visitor.complaints.offline = True
    page = visitor.page
    page.goto(house.url)
    fill_claim(page, code, again=f"{WORDS}!")
    expect(page.get_by_role("alert")).to_contain_text("The two passwords differ")
    expect(page.get_by_label("Code")).to_have_value(code)
    fill_claim(page, code)
    visitor.live()


def test_the_browser_itself_keeps_back_what_is_too_short(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    page = stranger(house).page
    code = house.leave_claim()
    page.goto(house.url)
    expect(page.get_by_text("New password, at least 10 characters")).to_be_visible()
    page.get_by_label("Code").fill(code)
    page.get_by_label("New password").press_sequentially("short")
    page.get_by_label("The same again").press_sequentially("short")
    page.get_by_role("button", name="Claim this appliance").click()
    assert page.get_by_label("New password").evaluate("(field) => field.validity.tooShort")
    expect(page).to_have_url(f"{house.url}/claim")


def test_the_authority_can_be_had_and_compared(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    house.leave_claim()
    page = stranger(house).page
    page.goto(house.url)
    shown = page.locator(".fingerprint").inner_text()
    from cryptography.hazmat.primitives import hashes

    expected = house.certificates.authority.fingerprint(hashes.SHA256()).hex(":").upper()
    assert shown == expected
    with page.expect_download() as download:
        page.get_by_role("link", name="download its authority").click()
    assert download.value.suggested_filename == "leyden-ca.crt"
    kept = (house.certificates.folder / "ca.pem").read_bytes()
    assert download.value.path().read_bytes() == kept


# The password.


def test_signing_in_and_out_by_password(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    visitor = stranger(house)
    page = owned(house, visitor)
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{house.url}/sign-in")
    page.goto(f"{house.url}/events")
    visitor.complaints.offline = True
    fill_password(page, "not the password")
    expect(page.get_by_role("alert")).to_have_text("This password or token is wrong")
    visitor.complaints.offline = False
    fill_password(page, WORDS)
    expect(page).to_have_url(f"{house.url}/events")
    visitor.live()


def test_a_link_of_the_terminal_still_signs_in(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    owned(house, stranger(house))
    token = new_token(house.auth, Role.VIEWER, name="wall", one_time=True)
    visitor = stranger(house)
    visitor.page.goto(house.url + sign_in_path(token))
    visitor.live()
    expect(visitor.page.get_by_text("viewer", exact=True)).to_be_visible()


def test_a_new_password_signs_the_other_browser_out_while_it_watches(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    one, other = stranger(house), stranger(house)
    page = owned(house, one)
    other.page.goto(house.url)
    fill_password(other.page, WORDS)
    other.live()
    page.get_by_role("link", name="System").click()
    page.get_by_role("link", name="Change the password").click()
    page.get_by_label("Present password").fill(WORDS)
    page.get_by_label("New password").fill("four words make one")
    page.get_by_label("The same again").fill("four words make one")
    other.complaints.offline = True
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("heading", name="The password is changed")).to_be_visible()
    other.page.wait_for_url(f"{house.url}/sign-in**")
    page.get_by_role("link", name="Back to the system page").click()
    one.live()


# The system page.


def test_a_laptop_is_told_to_be_none_in_words(house: House, visit: Callable[..., Visitor]) -> None:
    page = visit(house).open("/system")
    expect(page.get_by_text("There are no slots and no updates here")).to_be_visible()
    expect(page.get_by_role("heading", name="Slots")).to_have_count(0)
    expect(page.get_by_role("link", name="Download the authority")).to_have_count(0)
    assert page.locator(".banner").count() == 0


def test_both_slots_and_every_update_are_told(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    plant.system = systems.ROLLED_BACK
    page = visit(build(plant.start())).open("/system")
    slots = page.get_by_role("region", name="Slots").get_by_role("listitem")
    expect(slots).to_have_count(2)
    expect(slots.nth(0)).to_contain_text("running")
    expect(slots.nth(1)).to_contain_text("given up")
    expect(slots.nth(1)).to_contain_text("The kernel of slot B never reached user space")
    updates = page.get_by_role("region", name="Updates").get_by_role("listitem")
    expect(updates).to_have_count(4)
    expect(updates.nth(0)).to_contain_text("before the clock was set")
    expect(updates.nth(0)).to_contain_text("0.0.9 refused")
    expect(updates.nth(1)).to_contain_text("0.2.0 given up, back to 0.1.0")
    expect(updates.nth(1)).to_contain_text("3 starts were given, none came up")
    assert updates.nth(1).locator("time").get_attribute("datetime") == "2026-11-18T09:33:02Z"


def test_when_all_is_well_nothing_is_coloured(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    plant.system = systems.WELL
    page = visit(build(plant.start())).open("/system")
    page.get_by_role("heading", name="Slots").wait_for()
    assert page.locator(".banner, .mark.is-bad, .mark.is-uncertain").count() == 0
    assert page.locator("main .is-bad, main .is-uncertain").count() == 0


def test_a_rollback_stands_on_every_page_until_one_person_has_taken_note(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    plant.system = systems.ROLLED_BACK
    house = build(plant.start())
    visitor = visit(house)
    for path in ("/", "/devices", "/channels/air.temperature", "/system"):
        page = visitor.open(path)
        expect(page.locator(".banner")).to_contain_text("Version 0.2.0 was given up")
        expect(page.locator(".banner")).to_contain_text("Version 0.1.0 runs again")
    page.get_by_role("button", name="Noted").click()
    expect(page.locator(".banner")).to_have_count(0)
    assert visit(house).open("/").locator(".banner").count() == 0


def test_a_viewer_reads_it_and_cannot_take_it_away(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    plant = Plant()
    plant.system = systems.ROLLED_BACK
    house = build(plant.start())
    visitor = stranger(house)
    visitor.page.goto(house.url + sign_in_path(house.token()))
    visitor.live()
    expect(visitor.page.locator(".banner")).to_contain_text("was given up")
    expect(visitor.page.get_by_role("button", name="Noted")).to_have_count(0)


def test_a_trial_that_begins_and_ends_is_told_while_somebody_watches(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    plant.system = systems.WELL
    house = build(plant.start())
    page = visit(house).open("/")
    plant.system = systems.TRIAL
    plant.publish("runtime.update", {"what": "trying"})
    expect(page.locator(".banner")).to_contain_text("Version 0.2.0 is on trial in slot B")
    expect(page.get_by_role("button", name="Noted")).to_have_count(0)
    plant.system = systems.WELL
    plant.publish("runtime.update", {"what": "committed"})
    expect(page.locator(".banner")).to_have_count(0)


def test_a_broken_configuration_is_told_with_every_line_that_is_wrong(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant(clock_state="unsynced")
    plant.system, plant.configuration = systems.TROUBLED, systems.CONFIGURATION
    page = visit(build(plant.start())).open("/system")
    part = page.get_by_role("region", name="Configuration")
    expect(part).to_contain_text("Cannot be used; the appliance runs on the one before")
    for line in systems.CONFIGURATION["problems"]:
        expect(part).to_contain_text(line)
    start = page.get_by_role("region", name="This start").get_by_role("listitem")
    expect(start).to_have_count(3)
    expect(start.nth(0)).to_contain_text("bad")  # said to who cannot see the mark
    release = page.get_by_role("region", name="Release")
    expect(release).to_contain_text("not synced · no time server has answered")
    expect(page.locator(".banner li")).to_have_count(3)


def test_the_page_follows_what_happens_and_keeps_it_when_the_runtime_goes(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    plant.system = systems.STAGED
    house = build(plant.start())
    visitor = visit(house)
    page = visitor.open("/system")
    slots = page.get_by_role("region", name="Slots")
    expect(slots).to_contain_text("waits for the next start")
    plant.system = systems.TRIAL
    expect(slots).to_contain_text("on trial", timeout=8_000)
    visitor.complaints.offline = True
    house.stop_link()
    expect(page.get_by_text("This is what was read last")).to_be_visible(timeout=12_000)
    expect(slots).to_contain_text("on trial")


def test_what_the_runtime_does_not_know_is_told(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    house = build(plant.start())
    visitor = visit(house)
    page = visitor.open("/")
    visitor.complaints.offline = True
    plant.refusing = "not now"
    page.get_by_role("link", name="System").click()
    expect(page.get_by_text("The system could not be read: not now.")).to_be_visible()


def test_a_slot_nobody_has_looked_at_yet_is_told(
    build: Callable[..., House], visit: Callable[..., Visitor]
) -> None:
    plant = Plant()
    plant.system = msgspec.structs.replace(
        systems.WELL, slots=(), detail="the slots have not been looked at yet in this start"
    )
    page = visit(build(plant.start())).open("/system")
    expect(page.get_by_text("The slots have not been looked at yet in this start.")).to_be_visible()


# Encryption.


def test_without_certificates_the_panel_is_there_and_says_that_it_is_not_encrypted(
    build: Callable[..., House], stranger: Callable[..., Visitor]
) -> None:
    house = build(card=True)
    owner = stranger(house)
    owned(house, owner)
    owner.complaints.offline = True  # it watches on and is cut off
    house.certificates.write_key()
    house.kill_panel()
    house.start_panel()
    visitor = stranger(house, PHONE)
    page = visitor.page
    page.goto(house.plain_url)
    words = "This connection is not encrypted (leaf.key does not belong to leaf.pem)"
    expect(page.locator(".warning")).to_contain_text(words)
    fill_password(page, WORDS)
    visitor.live()
    for path in ("/", "/system"):
        page.goto(house.plain_url + path)
        expect(page.locator(".banner")).to_contain_text(words)
    expect(page.get_by_role("region", name="Access")).to_contain_text(
        "not encrypted: leaf.key does not belong to leaf.pem"
    )


# For everybody.


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.timeout(120)
def test_axe_finds_nothing_wrong_with_any_of_it(
    build: Callable[..., House], stranger: Callable[..., Visitor], scheme: Scheme
) -> None:
    vendor.bring(AXE, ROOT / "build" / "browser")
    source = (ROOT / "build" / "browser" / "axe.js").read_text()
    plant = Plant()
    plant.system, plant.configuration = systems.TROUBLED, systems.CONFIGURATION
    house = build(plant.start(), card=True)
    visitor = stranger(house, PHONE, scheme)
    page = visitor.page

    def judge(what: str) -> None:
        page.evaluate(source)
        assert judged_by_axe(page) == [], what

    house.leave_claim()
    page.goto(house.url)
    judge("claim")
    visitor.complaints.offline = True
    fill_claim(page, "0000-0000-0000")
    judge("a wrong code")
    page = owned(house, visitor)
    for system in (systems.WELL, systems.TRIAL, systems.ROLLED_BACK, systems.LAPTOP):
        plant.system = system
        page.goto(f"{house.url}/system")
        page.locator(".part").first.wait_for()
        settled(page)
        judge(f"system {system.running}")
    page.goto(f"{house.url}/password")
    judge("password")
    page.goto(f"{house.url}/events")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    judge("sign in")


def settled(page: Page) -> None:
    """Wait until nothing fades in any more."""
    wait_until(
        lambda: bool(page.evaluate("document.getAnimations().length === 0")), "rest", page=page
    )


@pytest.mark.parametrize("path", ["/claim", "/sign-in", "/password", "/system"])
def test_what_is_touched_is_large_enough_for_a_finger(
    build: Callable[..., House], stranger: Callable[..., Visitor], path: str
) -> None:
    plant = Plant()
    plant.system = systems.ROLLED_BACK
    house = build(plant.start(), card=True)
    visitor = stranger(house, PHONE)
    page = visitor.page
    if path == "/claim":
        house.leave_claim()
    else:
        owned(house, visitor)
        if path == "/sign-in":
            page.get_by_role("button", name="Sign out").click()
    page.goto(house.url + path)
    page.locator(".card button, .part").first.wait_for()
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, input, .ways a, .banner a")]
          .filter((node) => node.type !== "hidden")
          .map((node) => [node.innerText, node.getBoundingClientRect()])
          .filter(([, { width, height }]) => width < 44 || height < 44)
          .map(([name, { width, height }]) => `${name} ${width}x${height}`)"""
    )
    assert small == []


@pytest.mark.parametrize("width", [320, 390, 1440])
def test_nothing_is_wider_than_its_window(
    build: Callable[..., House], stranger: Callable[..., Visitor], width: int
) -> None:
    plant = Plant(name="north-greenhouse-with-a-very-long-name")
    plant.system, plant.configuration = systems.TROUBLED, systems.CONFIGURATION
    house = build(plant.start(), card=True)
    visitor = stranger(house, (width, 800))
    page = visitor.page
    house.leave_claim()
    page.goto(house.url)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    owned(house, visitor)
    for path in ("/system", "/password", "/"):
        page.goto(house.url + path)
        page.locator(".part, .card, .tile").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
