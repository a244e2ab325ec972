"""A scripted plant, the real link, the real panel process and a real browser, put together."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from panel.browser.scripted import Plant
from panel.certificates import Maker
from panel.passing import start_panel
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request

from leyden.kernel import Role
from leyden.link.server import LinkServer
from leyden.panel.auth import new_token, sign_in_path
from leyden.panel.claim import new_code, write_claim

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = (390, 844)
DESK = (1440, 900)

Scheme = Literal["light", "dark"]


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine, if there is one."""
    named = os.environ.get("LEYDEN_CHROMIUM")
    return named or next(filter(None, map(shutil.which, CHROMIUM)), None)


def launch(playwright: Playwright, chromium: str) -> Browser:
    """Start Chromium with one typeface for all, so that screenshots agree between machines."""
    environ: dict[str, str | float | bool] = dict(os.environ)
    environ["FONTCONFIG_FILE"] = str(HERE / "fonts.conf")
    return playwright.chromium.launch(executable_path=chromium, args=list(FLAGS), env=environ)


class House:
    """One plant with its link and its panel; `close` ends all three.

    Args:
        plant: what there is to see.
        card: the panel is started as on a card: with an encrypted and a plain socket passed to it,
            and certificates of the appliance's own.
    """

    def __init__(self, plant: Plant, *, card: bool = False) -> None:
        self.plant = plant
        self.folder = Path(tempfile.mkdtemp(prefix="leyden-house-"))
        self.auth = self.folder / "auth"
        self.sockets: dict[str, socket.socket] = {}
        self.port = self.plain_port = _free_port()
        self.certificates = Maker(self.folder / "identity")
        if card:
            self._furnish()
        self.plain_url = f"http://127.0.0.1:{self.plain_port}"
        self.url = f"{'https' if card else 'http'}://127.0.0.1:{self.port}"
        self._link: LinkServer | None = None
        self._panel: subprocess.Popen[bytes] | None = None
        self.start_link()
        self.start_panel()

    def start_link(self) -> None:
        """Let the runtime answer."""
        self._link = LinkServer(self.folder / "leyden.sock", self.plant)
        self._link.start()

    def stop_link(self) -> None:
        """Let the runtime be gone: its socket too."""
        if self._link is not None:
            self._link.stop()
            self._link = None

    def start_panel(self) -> None:
        """Start the panel's process and wait until it answers."""
        environ = {
            "LEYDEN_SOCKET": str(self.folder / "leyden.sock"),
            "LEYDEN_AUTH": str(self.auth),
        }
        self._panel = self._start_card(environ) if self.sockets else self._start(environ)
        wait_until(self._answers, "the panel to answer")

    def _start(self, environ: dict[str, str]) -> subprocess.Popen[bytes]:
        environ |= {"LEYDEN_HOST": "127.0.0.1", "LEYDEN_PORT": str(self.port)}
        return subprocess.Popen(
            [sys.executable, "-m", "leyden.panel.server"],
            env={**os.environ, **environ},
            start_new_session=True,
        )

    def _start_card(self, environ: dict[str, str]) -> subprocess.Popen[bytes]:
        environ |= {"LEYDEN_TLS": str(self.certificates.folder)}
        return start_panel(environ, tuple(self.sockets.items()), start_new_session=True)

    def _furnish(self) -> None:
        """Make what a card has: certificates, and sockets that outlive the panel."""
        self.certificates.renew()
        self.sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in ("https", "http")}
        self.port, self.plain_port = (each.getsockname()[1] for each in self.sockets.values())

    def kill_panel(self) -> None:
        """Kill the panel's process and its worker, as a crash would."""
        self._signal(signal.SIGKILL)
        if self._panel is not None:
            self._panel.wait(5.0)
            self._panel = None

    def freeze_panel(self) -> None:
        """Let the panel hang: its connections stay open and silent."""
        self._signal(signal.SIGSTOP)

    def thaw_panel(self) -> None:
        """Let the panel go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End everything that was started."""
        self.thaw_panel()
        self.kill_panel()
        for each in self.sockets.values():
            each.close()
        self.plant.stop()
        self.stop_link()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sign_in_link(self) -> str:
        """Return a fresh one-time link, as the terminal prints it."""
        token = new_token(self.auth, Role.OPERATOR, name="browser test", one_time=True)
        return self.url + sign_in_path(token)

    def token(self) -> str:
        """Return a token that a person may paste."""
        return new_token(self.auth, Role.VIEWER, name="browser test")

    def leave_claim(self) -> str:
        """Let the appliance wait for its admin; return the code that the machine shows."""
        code = new_code()
        write_claim(self.auth, code)
        return code

    def _signal(self, number: signal.Signals) -> None:
        if self._panel is not None:
            os.killpg(self._panel.pid, number)

    def _answers(self) -> bool:
        assert self._panel is not None
        assert self._panel.poll() is None, "the panel ended instead of serving"
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass
class Complaints:
    """What a browser found wrong with a page, and what it asked for elsewhere."""

    house: House
    problems: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    offline: bool = False  # a request that fails is expected then

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"error: {error.stack}"))
        page.on("console", self._heard)
        page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not self.offline:
            self.problems.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        at = urlsplit(request.url)
        ports = {self.house.port, self.house.plain_port}
        if at.scheme not in {"data", "blob"} and at.port not in ports:
            self.foreign.append(request.url)


class Visitor:
    """A signed-in browser window that remembers every complaint."""

    def __init__(
        self,
        browser: Browser,
        house: House,
        size: tuple[int, int] = DESK,
        scheme: Scheme = "light",
        **options: Any,
    ) -> None:
        self.house = house
        self.complaints = Complaints(house)
        self.context: BrowserContext = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            timezone_id="UTC",
            ignore_https_errors=True,  # the authority is the appliance's own
            **options,
        )
        self.page = self.tab()

    def tab(self) -> Page:
        """Open another tab."""
        page = self.context.new_page()
        page.set_default_timeout(15_000)
        self.complaints.watch(page)
        return page

    def sign_in(self) -> Visitor:
        """Follow a one-time link."""
        self.page.goto(self.house.sign_in_link())
        self.page.wait_for_url(f"{self.house.url}/")
        return self

    def open(self, path: str, page: Page | None = None) -> Page:
        """Load a page and wait until it is live."""
        page = page or self.page
        page.goto(self.house.url + path)
        self.live(page)
        return page

    def live(self, page: Page | None = None) -> None:
        """Wait until the page says that it is live."""
        (page or self.page).locator(".contact", has_text="live").wait_for()

    def close(self) -> None:
        self.context.close()


def module(page: Page, name: str) -> str:
    """Return the address of one of the panel's own modules, as the page loads it."""
    main = page.locator("script[type=module]").get_attribute("src")
    assert main is not None
    return main.replace("main.js", name)


def wait_until(
    condition: Callable[[], bool], what: str, timeout_s: float = 15.0, page: Page | None = None
) -> None:
    """Ask `condition` until it holds; a page given goes on meanwhile."""
    due = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < due, f"waited {timeout_s} s for {what}"
        if page is not None:
            page.wait_for_timeout(50)
        else:
            time.sleep(0.05)


def shoot(page: Page, name: str, *, whole: bool = True) -> Path:
    """Save a picture of the whole page, or of what the window shows."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path, full_page=whole, animations="disabled")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
