"""Makes the root file system from locked packages, or finds it in the cache.

mmdebstrap installs from a flat repository that holds the locked files and nothing else, so what apt
may choose is what is locked. Maintainer scripts run under emulation, which takes minutes; the
result is kept as a tar file named by the digest of everything that went into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from leyden_image.debian.lockfile import Lock, Locked
from leyden_image.recipe import Recipe
from leyden_image.store import fresh_folder, whole
from leyden_image.tools import run

# Rises when a change below would make another root from the same packages.
STEP_VERSION: Final = 2

# Never unpacked: nothing on the card reads them. Copyright files stay, as licences ask.
_LEFT_OUT: Final = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/bug/*",
    "path-exclude=/usr/share/bash-completion/*",
    "path-exclude=/usr/share/zsh/*",
    "path-exclude=/usr/share/i18n/*",
    "path-exclude=/usr/lib/aarch64-linux-gnu/gconv/*",
)


# The package of the SSH server makes host keys where there are none. Empty files keep it from doing
# so; they are taken out again, and the card makes its own.
_NO_HOST_KEYS: Final = (
    'mkdir -p "$1/etc/ssh" && cd "$1/etc/ssh" && '
    "touch ssh_host_rsa_key ssh_host_ecdsa_key ssh_host_ed25519_key"
)


def root_digest(lock: Lock, recipe: Recipe) -> str:
    """Return the digest of all that decides what the root is."""
    words = [str(STEP_VERSION), str(lock.epoch), *_LEFT_OUT, *_included(recipe)]
    words += [f"{one.name} {one.version} {one.sha256}" for one in lock.of("root")]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def make_root(
    lock: Lock, recipe: Recipe, cache: Path, debs: Path, tell: Callable[[str], None]
) -> Path:
    """Return the tar file of the root; make it if the cache has none.

    Args:
        lock: the packages; they are in `debs` already.
        recipe: the image.
        cache: folder for finished roots.
        debs: folder of package files.
        tell: is called with a word about what goes on.

    Raises:
        ImageError: apt or a maintainer script failed.
    """
    target = cache / f"root-{root_digest(lock, recipe)[:24]}.tar"
    if target.exists():
        tell("from the cache")
        return target
    tell(f"{len(lock.of('root'))} packages, emulated; this takes some minutes, once")
    suite = recipe.config.debian.suite
    repository = _repository(lock.of("root"), suite, debs, fresh_folder(cache / "repository"))
    with whole(target) as partial:
        run(_mmdebstrap(recipe, repository, partial), environment=_moment(lock))
    return target


def _included(recipe: Recipe) -> list[str]:
    names = {name.partition("/")[0] for layer in recipe.layers for name in layer.packages}
    return sorted(names)


def _moment(lock: Lock) -> dict[str, str]:
    return {"SOURCE_DATE_EPOCH": str(lock.epoch)}


def _mmdebstrap(recipe: Recipe, repository: Path, target: Path) -> list[str]:
    suite = recipe.config.debian.suite
    return [
        "nice", "-n", "5", "mmdebstrap",
        "--mode=root", "--variant=essential", "--architectures=arm64", "--format=tar",
        f"--include={','.join(_included(recipe))}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt={option}" for option in _LEFT_OUT),
        f"--setup-hook={_NO_HOST_KEYS}",
        suite,
        str(target),
        # Every file in the repository was checked against the lock, so no signature is needed;
        # `copy` brings the files into the new root, where dpkg runs.
        f"deb [trusted=yes] copy:{repository} ./",
    ]  # fmt: skip


def _repository(packages: Sequence[Locked], suite: str, debs: Path, folder: Path) -> Path:
    """Fill `folder` with links to the packages and the two indexes apt wants to see."""
    stanzas = []
    for one in packages:
        (folder / one.file).symlink_to(debs / one.file)
        control = run(["dpkg-deb", "--field", debs / one.file]).rstrip("\n")
        place = f"Filename: ./{one.file}\nSize: {one.size}\nSHA256: {one.sha256}\n"
        stanzas.append(f"{control}\n{place}")
    index = "\n".join(stanzas).encode()
    (folder / "Packages").write_bytes(index)
    # mmdebstrap looks for the essential packages in the suite it was told, so name it.
    digest = hashlib.sha256(index).hexdigest()
    release = f"Codename: {suite}\nSuite: {suite}\nSHA256:\n {digest} {len(index)} Packages\n"
    (folder / "Release").write_text(release, encoding="utf-8")
    return folder
