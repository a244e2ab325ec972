"""Starts the panel's process as a service manager does: with sockets handed over by number."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

# sd_listen_fds(3): the sockets are the descriptors from 3 on, and LISTEN_PID is who they are for.
_HAND_OVER = """
import os, sys
numbers = [int(each) for each in sys.argv[1].split(",")]
aside = [os.dup(each) for each in numbers]
for place, each in enumerate(aside, 3):
    os.dup2(each, place)
    os.set_inheritable(place, True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "leyden.panel.server"])
"""


def start_panel(
    environ: dict[str, str], sockets: Sequence[tuple[str, socket.socket]], **more: Any
) -> subprocess.Popen[bytes]:
    """Start the panel with named listening sockets."""
    numbers = [each.fileno() for _, each in sockets]
    names = {
        "LISTEN_FDS": str(len(sockets)),
        "LISTEN_FDNAMES": ":".join(name for name, _ in sockets),
    }
    return subprocess.Popen(
        [sys.executable, "-c", _HAND_OVER, ",".join(map(str, numbers))],
        env={**os.environ, **environ, **names},
        pass_fds=numbers,
        **more,
    )
