"""Brings an update from a web server to the data partition, within limits.

The connection need not be trusted: what is fetched is installed only with a signature that fits. So
plain http will do, and https needs a clock that is right.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from leyden.appliance.update.errors import UpdateError
from leyden.storage.files import FILES, Files, write_all

LIMIT_BYTES: Final = 512 << 20  # no update is that large; a server may be anything
SPARED_BYTES: Final = 16 << 20  # left to the log while the update lies on the data partition
_SILENCE_S: Final = 30.0
_CHUNK: Final = 1 << 18

OnBytes = Callable[[int, int | None], None]


def is_address(text: str) -> bool:
    """Whether a text is the address of something on a web server."""
    return urlsplit(text).scheme.lower() in ("http", "https")


@contextlib.contextmanager
def fetched(address: str, folder: Path, on_bytes: OnBytes, files: Files = FILES) -> Iterator[Path]:
    """Fetch `address` into `folder`; the file is there as long as the context is.

    Args:
        address: http or https.
        folder: on the data partition; made if need be.
        on_bytes: told how many bytes have come, and of how many, where the server says so.
        files: the file system.

    Raises:
        UpdateError: the server, the network or the disk would not.
    """
    target = folder / "incoming.raucb"
    files.make_folder(folder)
    try:
        _fetch(address, target, on_bytes, files)
        yield target
    finally:
        target.unlink(missing_ok=True)


def _fetch(address: str, target: Path, on_bytes: OnBytes, files: Files) -> None:
    try:
        with _web().open(address, timeout=_SILENCE_S) as answer:
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
            _refuse_too_much(total or 0, target.parent)
            _save(answer, total, target, on_bytes, files)
    except urllib.error.HTTPError as error:
        raise _failed(address, f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _failed(address, _why(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise _failed(address, str(error) or type(error).__name__) from error


def _web() -> urllib.request.OpenerDirector:
    # Web servers and nothing else: a server that redirects to a file of this machine, or to FTP,
    # finds nobody who would open it.
    web = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        web.add_handler(handler)
    return web


def _save(
    answer: IO[bytes], total: int | None, target: Path, on_bytes: OnBytes, files: Files
) -> None:
    done = 0
    descriptor = files.overwrite(target, 0o600)
    try:
        while chunk := answer.read(_CHUNK):
            done += len(chunk)
            _refuse_too_much(done, target.parent, coming=len(chunk))
            write_all(files, descriptor, chunk)
            on_bytes(done, total)
    finally:
        files.close(descriptor)
    if total is not None and done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes; try again")


def _refuse_too_much(size: int, folder: Path, *, coming: int | None = None) -> None:
    if size > LIMIT_BYTES:
        raise UpdateError(
            "too-big",
            f"found {size} bytes or more, expected at most {LIMIT_BYTES}; no update is so large",
        )
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    if free - (size if coming is None else coming) < SPARED_BYTES:
        raise UpdateError(
            "no-room",
            f"the data partition has {free} bytes left, too few for this update; "
            "lower [log] limit, or install from a USB stick: leyden update install FILE",
        )


def _failed(address: str, why: str) -> UpdateError:
    return UpdateError("fetch", f"{address} cannot be fetched: {why}")


def _why(reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not accepted ({reason.verify_message}); if the clock of "
            "this appliance is wrong, wait for the time server, or use http://: the update "
            "carries a signature of its own"
        )
    return str(reason)
