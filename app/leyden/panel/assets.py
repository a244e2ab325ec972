"""The panel's own files: style, scripts, marks, compressed once and cached by browsers for good.

All of them are served below a folder named after their contents, so that scripts that import each
other by relative path are always of one version.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_DIGEST: Final = 12  # hex digits; tells versions apart, proves nothing
_WORTH_IT: Final = 256  # bytes; below, compressing saves nothing


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to send."""

    type: str
    body: bytes
    packed: bytes | None  # gzip, where that is shorter
    etag: str


class Assets:
    """Every file below `root`, as it was when the panel started."""

    def __init__(self, root: Path) -> None:
        self._paths = {
            path.relative_to(root).as_posix(): path
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.suffix in _TYPES
        }
        self.version = _digest_of(self._paths)
        self._ready: dict[str, Asset] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Asset | None:
        """Return a file by its path below the root; None if there is no such file."""
        path = self._paths.get(name)
        if path is None:
            return None
        with self._lock:
            asset = self._ready.get(name)
            if asset is None:
                asset = self._ready[name] = _load(path)
        return asset


def _load(path: Path) -> Asset:
    body = path.read_bytes()
    packed = gzip.compress(body, 9, mtime=0) if len(body) > _WORTH_IT else body
    return Asset(
        type=_TYPES[path.suffix],
        body=body,
        packed=packed if len(packed) < len(body) else None,
        etag=hashlib.sha256(body).hexdigest()[:_DIGEST],
    )


def _digest_of(paths: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in paths.items():
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_DIGEST]
