"""Brings the few browser libraries of the panel from npm, each checked against a written hash.

`vendor.json` names every file that is shipped: its package, version, licence, place in the package
and the SHA-256 of its final bytes. `package-lock.json` holds npm's own integrity hash of every
package, so what is unpacked and what is shipped are both known beforehand.

    python -m leyden.panel.vendor           # bring what is missing; nothing to do is quick
    python -m leyden.panel.vendor --pin     # after a version change: write the new hashes

Public names: `bring`, `pin`, `missing`, `Manifest`, `VendorError`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from leyden.storage.atomic import write_atomic

HERE = Path(__file__).parent
TARGET = HERE / "static" / "vendor"
NPM_ARGUMENTS = ("ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund")
NPM_TIMEOUT_S = 300.0
LICENCES = "LICENCES.txt"

# `from"preact/hooks"`: a name that only a bundler or an import map could resolve.
_BARE_IMPORT = re.compile(rb'(\bfrom\s*)"([@a-z][\w@/.-]*)"')
# Points at files that are not shipped; developer tools would ask the panel for them.
_SOURCE_MAP = re.compile(rb"^//# sourceMappingURL=.*$\n?", re.MULTILINE)


class VendorError(Exception):
    """The libraries cannot be brought; the message says what to do."""


class Library(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One shipped file and where it comes from."""

    file: str  # its name in static/vendor
    package: str
    version: str
    licence: str  # SPDX identifier
    source: str  # path inside the package
    sha256: str  # hex, of the bytes that are shipped
    specifier: str = ""  # what other modules import it as
    append: str = ""  # makes a plain script a module
    bundles: tuple[str, ...] = ()  # other packages whose code is inside this file


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Every file that is shipped, and the hash of their collected licence texts."""

    files: tuple[Library, ...]
    licences_sha256: str


def bring(project: Path = HERE, target: Path = TARGET) -> list[str]:
    """Make `target` hold exactly the files of `project/vendor.json`; return the names brought.

    Args:
        project: folder with `vendor.json`, `package.json` and `package-lock.json`.
        target: folder to fill; other files in it are removed.

    Raises:
        VendorError: npm is missing or fails, or a file is not what the manifest says.
        OSError: the target cannot be written.
    """
    manifest = _read_manifest(project)
    _remove_strangers(manifest, target)
    wanted = missing(manifest, target)
    if not wanted:
        return []
    with tempfile.TemporaryDirectory(prefix="leyden-vendor-") as scratch:
        modules = _install(project, Path(scratch))
        contents = _contents(manifest, modules)
    _check(manifest, contents)
    _write(contents, target)
    return wanted


def pin(project: Path = HERE) -> None:
    """Write the hashes of what the lock file's packages contain now into `vendor.json`.

    Raises:
        VendorError: npm is missing or fails, or a file is not in its package.
    """
    old = _read_manifest(project)
    with tempfile.TemporaryDirectory(prefix="leyden-vendor-") as scratch:
        modules = _install(project, Path(scratch))
        contents = _contents(old, modules)
        files = tuple(_repin(library, contents, modules) for library in old.files)
    new = Manifest(files, _digest(contents[LICENCES]))
    encoded = msgspec.json.format(msgspec.json.encode(new), indent=2)
    write_atomic(project / "vendor.json", encoded + b"\n")


def missing(manifest: Manifest, target: Path = TARGET) -> list[str]:
    """Return the names of files that `target` lacks or holds with other bytes."""
    return [
        name
        for name, sha256 in _hashes(manifest).items()
        if not (target / name).is_file() or _digest((target / name).read_bytes()) != sha256
    ]


def _read_manifest(project: Path) -> Manifest:
    return msgspec.json.decode((project / "vendor.json").read_bytes(), type=Manifest)


def _hashes(manifest: Manifest) -> dict[str, str]:
    return {each.file: each.sha256 for each in manifest.files} | {
        LICENCES: manifest.licences_sha256
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _install(project: Path, scratch: Path) -> Path:
    """Unpack the locked packages in `scratch`, running none of their scripts."""
    npm = shutil.which("npm")
    if npm is None:
        raise VendorError(
            "npm was not found, and the panel's browser libraries come from it; install Node 18 or "
            "newer with npm (Debian: apt install npm), then run this again"
        )
    for name in ("package.json", "package-lock.json"):
        shutil.copy(project / name, scratch / name)
    try:
        done = subprocess.run(
            [npm, *NPM_ARGUMENTS],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise VendorError(
            f"npm ci gave no result in {NPM_TIMEOUT_S:.0f} s; is the registry reachable?"
        ) from None
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise VendorError(f"npm ci ended with code {done.returncode}:\n{said}")
    return scratch / "node_modules"


def _contents(manifest: Manifest, modules: Path) -> dict[str, bytes]:
    """Return the bytes to ship, by file name."""
    places = {each.specifier: each.file for each in manifest.files if each.specifier}
    contents = {each.file: _module(each, modules, places) for each in manifest.files}
    contents[LICENCES] = _licences(manifest, modules)
    return contents


def _module(library: Library, modules: Path, places: dict[str, str]) -> bytes:
    path = modules / library.package / library.source
    if not path.is_file():
        raise VendorError(f"{library.package} {library.version} has no file {library.source}")

    def relative(match: re.Match[bytes]) -> bytes:
        name = match[2].decode()
        if name not in places:
            raise VendorError(f'{library.file} imports "{name}", which vendor.json does not list')
        return match[1] + b'"./' + places[name].encode() + b'"'

    data = _SOURCE_MAP.sub(b"", path.read_bytes())
    if library.file.endswith(".js"):
        data = _BARE_IMPORT.sub(relative, data)
    return data.rstrip() + b"\n" + (f"{library.append}\n".encode() if library.append else b"")


def _licences(manifest: Manifest, modules: Path) -> bytes:
    """Return the licence text of every package that any shipped file has code of."""
    packages = {each.package for each in manifest.files}
    packages.update(*(each.bundles for each in manifest.files))
    return "\n\n".join(_licence(name, modules / name) for name in sorted(packages)).encode()


def _licence(name: str, folder: Path) -> str:
    package = msgspec.json.decode((folder / "package.json").read_bytes())
    text = (folder / "LICENSE").read_text(encoding="utf-8").strip()
    return f"{name} {package['version']} ({package['license']})\n\n{text}\n"


def _check(manifest: Manifest, contents: dict[str, bytes]) -> None:
    for name, sha256 in _hashes(manifest).items():
        if (found := _digest(contents[name])) != sha256:
            raise VendorError(
                f"{name}: found sha256 {found}, expected {sha256}; if its version was changed on "
                "purpose, run python -m leyden.panel.vendor --pin and review vendor.json"
            )


def _repin(library: Library, contents: dict[str, bytes], modules: Path) -> Library:
    package = msgspec.json.decode((modules / library.package / "package.json").read_bytes())
    return msgspec.structs.replace(
        library,
        version=package["version"],
        licence=package["license"],
        sha256=_digest(contents[library.file]),
    )


def _remove_strangers(manifest: Manifest, target: Path) -> None:
    if not target.is_dir():
        return
    known = _hashes(manifest)
    for path in target.iterdir():
        if path.is_file() and path.name not in known:
            path.unlink()


def _write(contents: dict[str, bytes], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        write_atomic(target / name, data)


def main(arguments: list[str]) -> int:
    """Bring (or, with `--pin`, pin) the libraries; return an exit code."""
    try:
        if arguments == ["--pin"]:
            pin()
            sys.stdout.write("vendor.json pinned; review it\n")
            return 0
        brought = bring()
    except (VendorError, OSError) as error:
        sys.stderr.write(f"panel libraries: {error}\n")
        return 1
    state = f"brought {', '.join(brought)}" if brought else "up to date"
    sys.stdout.write(f"panel libraries: {state}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
