"""A way into a running appliance: SSH, with a key of its own for each run."""

from __future__ import annotations

import base64
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_hil.card import tool
from leyden_hil.errors import TargetError

_LOOK_S: Final = 0.5  # between two attempts while it boots
_COMMAND_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Output:
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair."""

    path: Path  # of the private part

    @classmethod
    def make(cls, folder: Path) -> Key:
        """Return a new key pair in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "id_ed25519"
        if not path.exists():
            tool(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rig", "-f", str(path)])
        return cls(path)

    @property
    def public(self) -> str:
        """The line for `authorized_keys`."""
        return self.path.with_suffix(".pub").read_text().strip()


class Shell:
    """Runs commands as root; one connection is kept for all of them.

    Args:
        address: of the appliance.
        port: of its SSH server.
        key: that its preseed was given.
    """

    def __init__(self, address: str, port: int, key: Key) -> None:
        self._target = f"root@{address}"
        self._port = port
        self._key = key
        self._folder = tempfile.TemporaryDirectory(prefix="leyden-ssh-")

    def wait(self, limit_s: float) -> float:
        """Wait until a command can be run; return how long that took, in seconds.

        Raises:
            TargetError: it cannot, with what the server said last.
        """
        began = time.monotonic()
        while True:
            try:
                said = self.run("true", limit_s=15.0)
            except TargetError as error:
                said = Output(255, "", str(error))
            if said.code == 0:
                return time.monotonic() - began
            if time.monotonic() - began > limit_s:
                raise TargetError(f"no SSH after {limit_s:.0f} s: {said.err.strip()}")
            time.sleep(_LOOK_S)

    def run(self, command: str, *, limit_s: float = _COMMAND_S, feed: bytes = b"") -> Output:
        """Run a command and return what it said, whatever that was.

        Args:
            command: for the shell of the appliance.
            limit_s: the longest it may take.
            feed: what it reads from its standard input.

        Raises:
            TargetError: it did not end in time.
        """
        try:
            done = subprocess.run(
                [*self._line(), "--", command],
                input=feed,
                capture_output=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TargetError(f"{command!r} did not end in {limit_s:.0f} s") from None
        return Output(
            done.returncode,
            done.stdout.decode("utf-8", "replace"),
            done.stderr.decode("utf-8", "replace"),
        )

    def ask(self, command: str, *, limit_s: float = _COMMAND_S, feed: bytes = b"") -> str:
        """Run a command that has to succeed and return what it said, without the last line end.

        Raises:
            TargetError: it failed, or did not end in time.
        """
        said = self.run(command, limit_s=limit_s, feed=feed)
        if said.code:
            raise TargetError(
                f"{command!r} ended with {said.code}: {said.err.strip() or said.out.strip()}"
            )
        return said.out.rstrip("\n")

    def put(self, path: str, data: bytes) -> None:
        """Write a file of the appliance."""
        self.ask(f"cat > {shlex.quote(path)}", feed=data)

    def get(self, path: str) -> bytes:
        """Return a file of the appliance."""
        return base64.b64decode(self.ask(f"base64 -w0 {shlex.quote(path)}"))

    def talk(self, command: str) -> subprocess.Popen[str]:
        """Start a command that goes on; its input and output are pipes of text."""
        return subprocess.Popen(
            [*self._line(), "--", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def leave(self, command: str) -> None:
        """Start a command that nobody waits for, such as one that ends the machine."""
        quoted = shlex.quote(f"sleep 1; {command}")
        self.ask(f"nohup setsid sh -c {quoted} > /dev/null 2>&1 < /dev/null &")

    def hang_up(self) -> None:
        """Drop the kept connection: after a reboot it leads nowhere."""
        line = [*self._line(), "-O", "exit"]
        subprocess.run(line, capture_output=True, timeout=_COMMAND_S, check=False)

    def close(self) -> None:
        """Hang up for good."""
        self.hang_up()
        self._folder.cleanup()

    def _line(self) -> list[str]:
        options = {
            "LogLevel": "ERROR",
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "5",
            "UserKnownHostsFile": "/dev/null",  # a fresh card has a new key each time
            "StrictHostKeyChecking": "no",
            "IdentitiesOnly": "yes",
            "ControlMaster": "auto",
            "ControlPersist": "120",
            "ControlPath": f"{self._folder.name}/%C",
        }
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        line = ["ssh", "-F", "none", *words, "-i", str(self._key.path)]
        return [*line, "-p", str(self._port), self._target]
