"""Notices to the service manager: READY, STATUS, WATCHDOG and STOPPING by sd_notify(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends to the socket that `NOTIFY_SOCKET` names; without one it does nothing."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        address = env.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the abstract namespace, sd_notify(3).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(env)

    def ready(self, status: str) -> None:
        """Start-up is complete."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def watchdog(self) -> None:
        """Still alive."""
        self._send("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """Shutdown has begun."""
        self._send(f"STOPPING=1\nSTATUS={_one_line(status)}")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # The manager may be restarting, or not reading, so that its queue is full: a lost notice
        # must neither stop nor hold the appliance, and the manager's own timeout deals with it.
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            with socket.socket(socket.AF_UNIX, kind) as sock:
                sock.sendto(text.encode(), self._address)
        except OSError:
            return


def _one_line(status: str) -> str:
    # A line of its own would be read as a field of the notice.
    return " ".join(status.split())


def _watchdog_s(env: Mapping[str, str]) -> float | None:
    # WATCHDOG_PID, where given, says for which process the timeout is meant.
    if env.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(env["WATCHDOG_USEC"])
    except (KeyError, ValueError):
        return None
    return microseconds / 1e6 if microseconds > 0 else None
