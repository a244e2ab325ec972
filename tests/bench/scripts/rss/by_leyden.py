"""Leyden: the runtime process of `leyden run` with the shipped greenhouse on modelled chips.

The figure is the process that touches hardware: drivers, chip models, graph, event log and link.
Panel and supervisor are processes of their own and are noted beside it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

from gauge import confirm, fail, option, report, rss_mb, text_option

from leyden.eventlog.reader import LogReader

START_S, END_S = 20.0, 10.0


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(path: Path) -> int:
    """The process number in a file that is about to be written."""
    deadline = time.monotonic() + START_S
    while not path.is_file():
        if process.poll() is not None:
            fail(f"leyden run ended with {process.returncode}: {output.read_text()[-300:]}")
        confirm(time.monotonic() < deadline, f"no {path.name} within {START_S:g} s")
        time.sleep(0.05)
    return int(path.read_text())


def resident(name: str, pid: int) -> float:
    """The memory of a process in MB; ends the script if it is not the one that was started."""
    noted = data / "run" / f"{name}.pid"
    if not (noted.is_file() and int(noted.read_text()) == pid and Path(f"/proc/{pid}").exists()):
        fail(f"the {name} did not live: {' '.join(output.read_text().split())[-300:]}")
    return round(rss_mb(pid), 1)


folder = Path(text_option("folder", "."))
data, output = folder / "data", folder / "output"
config = files("leyden.manual") / "greenhouse.toml"
command = [
    sys.executable, "-m", "leyden.cli.main", "run", str(config), "--mock",
    "--data", str(data), "--port", str(free_port()),
]  # fmt: skip
with output.open("wb") as stream:
    process = subprocess.Popen(command, stdout=stream, stderr=stream)
try:
    names = ("runtime", "panel", "supervisor")
    pids = {name: wait_for(data / "run" / f"{name}.pid") for name in names}
    time.sleep(option("seconds", 5.0))
    memory = {name: resident(name, pid) for name, pid in pids.items()}
    process.send_signal(signal.SIGINT)
    code = process.wait(END_S)
finally:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
confirm(code == 0, f"leyden run ended with {code}")
seen = {event.route for event in LogReader(data / "log").events() if hasattr(event, "route")}
missing = {"air.temperature", "soil.moisture_1", "vent.state", "host.load"} - seen
confirm(not missing, f"the log has no {', '.join(sorted(missing))}")
report(
    memory["runtime"],
    "MB",
    does="runtime with the shipped greenhouse on modelled chips",
    panel_mb=memory["panel"],
    supervisor_mb=memory["supervisor"],
)
