"""The panel in a real browser, against the machine, under the name it gave itself."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import (
    ConsoleMessage,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)

from leyden_hil.appliance import Appliance
from leyden_hil.errors import InfraError
from leyden_hil.plugin import Measure

_SLOW_MS = 60_000  # an emulated machine answers when it can


def _key_hash(certificate: bytes) -> str:
    """Return what Chromium calls a key: SHA-256 of its public part, base64."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(public).digest()).decode()


@pytest.fixture
def page(appliance: Appliance) -> Iterator[Page]:
    """A window of a browser that trusts the keys of this appliance and no others."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise InfraError("chromium is not installed; try: apt-get install chromium")
    own = appliance.shell.get("/data/leyden/identity/ca.pem")
    leaf = appliance.shell.get("/data/leyden/identity/leaf.pem")
    port = appliance.panel.doors["https"]
    options = [
        "--no-sandbox",
        f"--host-resolver-rules=MAP {appliance.name}:443 127.0.0.1:{port}",
        f"--ignore-certificate-errors-spki-list={_key_hash(own)},{_key_hash(leaf)}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        window = browser.new_page(viewport={"width": 1280, "height": 800})
        window.set_default_timeout(_SLOW_MS)
        expect.set_options(timeout=_SLOW_MS)
        yield window
        browser.close()


@dataclass(slots=True)
class Heard:
    """What a window complained of, and whom it asked beside the appliance."""

    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


@pytest.fixture
def heard(page: Page, appliance: Appliance) -> Heard:
    """Listen to a window from its first page on."""
    found = Heard()

    def note_request(asked: Request) -> None:
        if not _own(asked, appliance):
            found.elsewhere.append(asked.url)

    def note_words(said: ConsoleMessage) -> None:
        if said.type == "error":
            found.complaints.append(said.text)

    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("console", note_words)
    page.on("request", note_request)
    return found


def _sign_in(page: Page, appliance: Appliance) -> None:
    page.fill("input[type=password]", appliance.password)
    page.click("button.primary")
    page.wait_for_url(f"https://{appliance.name}/")


def test_its_owner_signs_in_and_sees_the_overview(
    appliance: Appliance, page: Page, heard: Heard, artefacts: Path
) -> None:
    page.goto(f"https://{appliance.name}/")
    page.screenshot(path=artefacts / "sign-in.png")
    _sign_in(page, appliance)
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("not connected")
    page.screenshot(path=artefacts / "overview.png", full_page=True)
    assert heard == Heard()


@pytest.mark.full
def test_values_are_live_and_the_system_page_names_the_slot(
    appliance: Appliance, page: Page, heard: Heard, artefacts: Path, measure: Measure
) -> None:
    page.goto(f"https://{appliance.name}/")
    _sign_in(page, appliance)
    expect(page.locator("body")).not_to_contain_text("not connected")
    tile = page.locator(".tile").last
    measure("from the page to a live value", _changes(tile), "s", "<= 30")
    page.screenshot(path=artefacts / "live.png", full_page=True)

    page.goto(f"https://{appliance.name}/system")
    release = json.loads(appliance.shell.ask("cat /usr/lib/leyden/release.json"))
    slots = page.locator("#slots")
    expect(slots).to_contain_text("Slot A")
    expect(slots).to_contain_text(release["version"])
    page.screenshot(path=artefacts / "system.png", full_page=True)
    assert heard == Heard()


def _own(asked: Request, appliance: Appliance) -> bool:
    own = (f"https://{appliance.name}/", f"wss://{appliance.name}/", "data:", "blob:")
    return str(asked.url).startswith(own)


def _changes(tile: Locator) -> float:
    """Wait until a tile says something else than now; return how long it took, in seconds."""
    before, began = tile.inner_text(), time.monotonic()
    expect(tile).not_to_have_text(before)
    return time.monotonic() - began
