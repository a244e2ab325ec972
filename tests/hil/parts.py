"""Stand-ins for the tests of the rig: an emulator that is a script, a journal made by hand."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from pathlib import Path

FAKE = '''
"""Stands in for the emulator: calls the sockets of its command line and says what it is told to."""
import json, os, socket, sys, time

words = sys.argv[1:]
plan = json.loads(open({plan!r}).read())
start = plan.pop(0) if len(plan) > 1 else plan[0]
open({plan!r}, "w").write(json.dumps(plan))
if start.get("refuse"):
    sys.exit("no such machine")
lines = {{}}
for word in words:
    if word.startswith("socket,id="):
        name, path = (part.split("=", 1)[1] for part in word.split(",")[1:3])
        lines[name] = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        lines[name].connect(path)
monitor = lines["monitor"].makefile("rw")


def say(what):
    monitor.write(json.dumps(what) + "\\n")
    monitor.flush()


say({{"QMP": {{}}}})
for line in monitor:
    command = json.loads(line)
    say({{"event": "NOISE", "data": {{}}}})
    say({{"return": command.get("arguments", {{}})}})
    if command["execute"] == "cont":
        break
for piece in start.get("console", []):
    lines["console"].sendall(piece.encode())
if "end" in start:
    say({{"event": "SHUTDOWN", "data": {{"guest": True, "reason": start["end"]}}}})
    sys.exit(0)
if start.get("die"):
    sys.exit("out of memory")
for line in monitor:
    say({{"return": {{}}}})
'''


def fake_emulator(folder: Path, starts: Iterable[dict[str, object]]) -> Path:
    """Return the path of a program that behaves at each start as `starts` says, the last for ever.

    Keys: "refuse" and "die" end it with a complaint, "end" with a reason; "console" is said.
    """
    import json

    plan, program = folder / "plan.json", folder / "emulator"
    plan.write_text(json.dumps(list(starts)))
    program.write_text(f"#!{sys.executable}\n{FAKE.format(plan=str(plan))}")
    program.chmod(0o755)
    return program


def journal(entries: Iterable[tuple[int, int, bytes]], sector: int = 512) -> bytes:
    """Return a journal of writes: sector, flags, data of each, as the emulator notes them."""
    parts = [struct.pack("<QQQI", 0x6A736677736872, 1, 0, sector).ljust(sector, b"\0")]
    for where, flags, data in entries:
        head = struct.pack("<QQQQ", where, len(data) // sector, flags, len(data))
        parts += [head.ljust(sector, b"\0"), data]
    return b"".join(parts)
