"""What the panel is told about its place, by environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leyden.kernel import LeydenError


class ServeError(LeydenError):
    """The panel cannot serve; `exit_code` tells a wrong setting (2) from a failure (1)."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are and how the panel may be called."""

    socket: Path  # the link
    auth: Path  # the auth directory
    port: int = 8080  # keeps the cookies of two panels on one host apart
    hosts: tuple[str, ...] = ()  # further names it may be called by
    tls: Path | None = None  # the certificate folder
    https_port: int = 0  # where it listens for TLS; 0: nowhere


def read_settings(environ: Mapping[str, str], port: int, https_port: int = 0) -> Settings:
    """Return the settings that the environment holds, with the ports that are listened at.

    Raises:
        ServeError: one is missing.
    """
    missing = [name for name in ("LEYDEN_SOCKET", "LEYDEN_AUTH") if not environ.get(name)]
    if missing:
        raise ServeError(f"{' and '.join(missing)} must be set; `leyden run` does that", 2)
    names = environ.get("LEYDEN_HOSTS", "").split(",")
    return Settings(
        socket=Path(environ["LEYDEN_SOCKET"]),
        auth=Path(environ["LEYDEN_AUTH"]),
        port=port,
        hosts=tuple(name.strip() for name in names if name.strip()),
        tls=Path(environ["LEYDEN_TLS"]) if environ.get("LEYDEN_TLS") else None,
        https_port=https_port,
    )
