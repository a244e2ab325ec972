"""A real appliance in real processes, for tests that kill, stop and question it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

CONFIG = """
[appliance]
name = "bench"

[bus.i2c1]
kind = "i2c"

[bus.header]
kind = "gpio"

[device.air]
driver = "bme280"
bus = "i2c1"
every = "100 ms"
standby = "62.5 ms"

[device.vent]
driver = "gpio"
bus = "header"
every = "200 ms"
lines = { state = { line = 22, mode = "output", safe = false } }

[device.host]
driver = "host"
every = "1 s"
"""

T = TypeVar("T")


def eventually(probe: Callable[[], T | None], within_s: float, what: str) -> T:
    """Return the first answer of `probe` that is not None or False; fail when time is over."""
    end = time.monotonic() + within_s
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {within_s:g} s for {what}")
        select.select([], [], [], 0.02)


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not alive(pid)


class Running:
    """One `leyden run` with its children, its address and a token."""

    def __init__(self, folder: Path, *arguments: str, config: str = CONFIG) -> None:
        self.data = folder / "data"
        self.config = folder / "bench.toml"
        self.config.write_text(config)
        self.output = ""
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "leyden.cli.main", "run", str(self.config)),
                *("--mock", "--data", str(self.data), "--port", "0", *arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.token = ""
        self.base = ""

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        for name in ("runtime", "panel"):
            pid = self.pid(name)
            if pid:
                eventually(partial(gone, pid), 15, f"{name} to end with its supervisor")

    def pid(self, name: str) -> int:
        """Return the number that a process left, 0 if it has not."""
        try:
            return int((self.data / "run" / f"{name}.pid").read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return 0

    def line(self, pattern: str, within_s: float = 20) -> str:
        """Return the first output line that matches; reads on until there is one."""
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            for text in self.output.splitlines():
                if re.search(pattern, text):
                    return text
            ready, _, _ = select.select([pipe], [], [], 0.2)
            if ready:
                data = os.read(pipe, 65_536)
                if not data:
                    break
                self.output += data.decode()
        raise AssertionError(f"no line like {pattern!r} in {self.output!r}")

    def connect(self) -> Running:
        """Learn the panel's address, make a token and wait until the runtime answers."""
        found = re.search(r"http://([^/]+)/", self.line(r"http://"))
        assert found
        self.base = f"http://{found[1]}"
        made = subprocess.run(
            [
                *(sys.executable, "-m", "leyden.cli.main", "token", "new"),
                *("--role", "admin", "--data", str(self.data)),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        self.token = made.stdout.strip()
        eventually(lambda: self.health().get("status") == "ok", 20, "a healthy appliance")
        return self

    def get(self, path: str) -> Any:
        """Return the JSON of a GET; errors of the server are returned as their JSON."""
        request = urllib.request.Request(
            self.base + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def health(self) -> dict[str, Any]:
        """Return /healthz, or an empty mapping while nobody answers."""
        try:
            return dict(self.get("/healthz"))
        except OSError:
            return {}

    def latest(self, route: str) -> dict[str, Any]:
        """Return the newest value of a route, or an empty mapping while nobody answers."""
        try:
            return dict(self.get(f"/api/v1/routes/{route}/latest"))
        except OSError:
            return {}

    def events(self, after: int = 0, route: str = "") -> tuple[list[dict[str, Any]], list[Any]]:
        """Return all events above `after`, and all gaps, page by page."""
        events: list[dict[str, Any]] = []
        gaps: list[Any] = []
        suffix = f"&route={route}" if route else ""
        while True:
            page = self.get(f"/api/v1/events?after={after}&limit=1000{suffix}")
            events += page["events"]
            gaps += page["gaps"]
            if page["next"] <= after or (not page["events"] and not page["gaps"]):
                return events, gaps
            after = page["next"]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `leyden` command on this data directory."""
        return subprocess.run(
            [sys.executable, "-m", "leyden.cli.main", *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """Send a signal to the supervisor; return its exit code and the seconds it took."""
        began = time.monotonic()
        os.kill(self.process.pid, number)
        code = self.process.wait(30)
        return code, time.monotonic() - began
