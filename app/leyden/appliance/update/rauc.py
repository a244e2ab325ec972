"""RAUC, the program that checks the signature of an update and writes it to a slot.

It is asked by its command line; the service behind it is started by D-Bus when it is needed. It
never makes a slot bootable (`activate-installed=false` in system.conf): that is `install`'s last
step, after the slot was read back from the card.
"""

from __future__ import annotations

import re
import select
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol, cast

import msgspec

from leyden.appliance.update.errors import RefusedError, UpdateError

_INSPECT_S: Final = 600.0  # a signature over 150 MB, read from the slowest card
_SILENCE_S: Final = 300.0  # no word of progress for so long: it hangs
_PROGRESS: Final = re.compile(r"\s*(\d{1,3})%\s+(.*\S)")
_SUPERBLOCK_BYTES: Final = 96  # of squashfs 4.0
_SQUASHFS: Final = b"hsqs"
_PAD: Final = 4096  # mksquashfs fills up to whole blocks

OnProgress = Callable[[int, str], None]


class Installer(Protocol):
    """What `install` needs of RAUC."""

    def inspect(self, path: Path) -> dict[str, Any]:
        """Check the signature of a bundle and return what its manifest says.

        Raises:
            RefusedError: it is no bundle, damaged, or signed by nobody we trust.
            UpdateError: it could not be looked at.
        """
        ...

    def install(self, path: Path, on_progress: OnProgress) -> None:
        """Write a bundle to the slot that does not run, and leave it unbootable.

        Raises:
            UpdateError: it failed; the slot is not to be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rauc:
    """RAUC's command line.

    Args:
        command: the program, and options that stand before what is asked of it.
        silence_s: how long it may work without a word.
    """

    command: tuple[str, ...] = ("rauc",)
    silence_s: float = _SILENCE_S

    def inspect(self, path: Path) -> dict[str, Any]:
        """Check the signature of a bundle and return what its manifest says."""
        refuse_what_is_no_bundle(path)
        arguments = (*self.command, "info", "--output-format=json-2", str(path))
        try:
            done = subprocess.run(
                arguments, capture_output=True, text=True, timeout=_INSPECT_S, check=False,
                errors="replace",
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UpdateError("rauc", f"the update cannot be looked at: {error}") from error
        if done.returncode:
            raise refusal(done.stderr)
        try:
            return msgspec.json.decode(done.stdout, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            words = f"rauc described the update in words that are not understood: {error}"
            raise UpdateError("rauc", words) from error

    def install(self, path: Path, on_progress: OnProgress) -> None:
        """Write a bundle to the slot that does not run, and leave it unbootable."""
        try:
            process = subprocess.Popen(
                (*self.command, "install", str(path)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
            )
        except OSError as error:
            raise UpdateError("rauc", f"rauc cannot be started: {error}") from error
        with process:
            try:
                last = self._follow(process, on_progress)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise UpdateError("write", _why_it_failed(last))

    def _follow(self, process: subprocess.Popen[bytes], on_progress: OnProgress) -> list[str]:
        said = cast("IO[bytes]", process.stdout)  # `install` has made it a pipe
        lines: list[str] = []
        rest = b""
        while True:
            ready, _, _ = select.select([said], [], [], self.silence_s)
            if not ready:
                words = f"rauc has said nothing for {self.silence_s:g} s; restart the appliance"
                raise UpdateError("rauc", words)
            chunk = said.read(4096)
            if not chunk:
                return lines
            *whole, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in whole:
                _take(line.decode("utf-8", "replace"), lines, on_progress)


def _take(line: str, lines: list[str], on_progress: OnProgress) -> None:
    found = _PROGRESS.fullmatch(line)
    if found is not None:
        on_progress(int(found[1]), found[2])
    elif line.strip():
        lines.append(line.strip())


def _why_it_failed(lines: list[str]) -> str:
    said = [line for line in lines if "LastError" in line] or lines[-3:]
    words = "; ".join(line.removeprefix("LastError: ") for line in said) or "it gave no reason"
    return f"rauc could not write the slot: {words}"


# What is no bundle, in words


def refuse_what_is_no_bundle(path: Path) -> None:
    """Say what a file is if it cannot be a bundle; RAUC's own words would not tell.

    A bundle is a squashfs image, a signature (CMS, DER), and the signature's length in 8 bytes.

    Raises:
        RefusedError: it is something else, unsigned, or cut short.
    """
    with path.open("rb") as file:
        head = file.read(_SUPERBLOCK_BYTES)
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        trailer = int.from_bytes(file.read(8), "big")
    if len(head) < _SUPERBLOCK_BYTES or not head.startswith(_SQUASHFS):
        raise RefusedError(
            "not-a-bundle",
            f"{path.name} is no update: found {size} bytes that do not begin like a bundle; "
            "expected a file named ….raucb that belongs to a release of Leyden",
        )
    used = int.from_bytes(head[40:48], "little")  # bytes_used in the superblock
    content = -(-used // _PAD) * _PAD
    if size < content:
        raise _cut_short(path, size, content)
    signature = size - 8 - content
    if signature <= 0 or trailer == 0:
        raise RefusedError(
            "unsigned",
            f"{path.name} carries no signature; expected one by a key that this appliance trusts. "
            "Install only files from a release, or sign your own with the image's key",
        )
    if trailer != signature:
        raise _cut_short(path, size, content)


def _cut_short(path: Path, size: int, content: int) -> RefusedError:
    return RefusedError(
        "truncated",
        f"{path.name} is cut short: found {size} bytes, expected {content} of content and a "
        "signature after them; fetch it again",
    )


# RAUC's words for a signature, and ours: what was found, what was expected, what to try.
_SIGNATURES: Final = (
    (
        ("certificate has expired",),
        "expired",
        "the certificate of who signed the update had expired when it was signed; expected one "
        "that held at that time. Ask for an update that is signed anew",
    ),
    (
        ("certificate is not yet valid",),
        "expired",
        "the certificate of who signed the update did not hold yet when it was signed; the clock "
        "of the machine that signed was wrong. Ask for an update that is signed anew",
    ),
    (
        ("unable to get local issuer", "self-signed certificate", "self signed certificate",
         "unable to verify the first certificate"),
        "foreign-signer",
        "the update is signed by a key that this appliance does not trust; expected one whose "
        "certificate leads to /etc/rauc/keyring.pem. Use the update that was made for this image",
    ),
    (
        ("certificate purpose",),
        "foreign-signer",
        "the update is signed with a certificate that is not meant for signing code; expected the "
        "extended key usage codeSigning. Ask for an update that is signed anew",
    ),
    (
        ("signature verification failed",),
        "damaged",
        "the signature does not fit what the update contains: a byte was changed on the way or "
        "afterwards; fetch it again",
    ),
    (
        ("Signature size", "Invalid bundle format"),
        "truncated",
        "the end of the update is not a signature: it is cut short; fetch it again",
    ),
)  # fmt: skip


def refusal(said: str) -> UpdateError:
    """Return RAUC's complaint about a bundle in our words."""
    for signs, code, words in _SIGNATURES:
        if any(sign in said for sign in signs):
            return RefusedError(code, words)
    lines = [line for line in said.splitlines() if line.strip() and "Message" not in line]
    return UpdateError("rauc", f"the update cannot be looked at: {' '.join(lines[-2:])}")
