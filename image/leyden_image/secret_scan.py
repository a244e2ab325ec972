"""Looks for secrets in what is about to be given to everybody: keys, passwords, tokens.

An image is the same for all who flash it, so nothing in it can be a secret, and anything that looks
like one is a mistake. One finding fails the build.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# With the beginning of its content: programs that know how to read keys contain the words alone.
_PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+(?:[\w-]+: [^\n]*\n\s*)*[A-Za-z0-9+/=]{40}"
)
_TOKENS: Final = (
    re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    re.compile(rb"\bglpat-[A-Za-z0-9_-]{20}\b"),
    re.compile(rb"\bAKIA[A-Z0-9]{16}\b"),
    re.compile(rb"\bxox[abp]-[A-Za-z0-9-]{20,}"),
)
_FORBIDDEN: Final = (
    (re.compile(r"^etc/ssh/ssh_host_[^/]*key$"), "is a host key of SSH"),
    (re.compile(r"(^|/)(authorized_keys|leyden_authorized_keys)$"), "lets somebody log in"),
    (re.compile(r"(^|/)id_(rsa|dsa|ecdsa|ed25519)$"), "is a key of SSH"),
    (re.compile(r"^var/lib/iwd/.*\.(psk|8021x)$"), "is the password of a radio network"),
    (re.compile(r"^(userconf(\.txt)?|wpa_supplicant\.conf|claim-code\.txt)$"), "sets a password"),
    (re.compile(r"(^|/)(\.netrc|\.pypirc|\.git-credentials|\.bash_history)$"), "keeps credentials"),
    (re.compile(r"^etc/(leyden|rauc)/.*\.key$"), "is a private key"),
)
# What stands in the password field of a user who cannot log in with one.
_LOCKED: Final = re.compile(r"^[!*]+$")
_PASSWORD_LINE: Final = re.compile(
    rb"^\s*(?:password|passphrase|psk|password_hash|token)\s*=\s*[\"']?[^\s\"'#]", re.MULTILINE
)
_PRESEEDS: Final = frozenset({"leyden.toml", "user-data", "network-config"})
_LARGEST: Final = 64 << 20
# Published keys with which a library tests itself; they open nothing.
_SELF_TESTS: Final = re.compile(r"^usr/lib/aarch64-linux-gnu/libgnutls\.so\.[\d.]+$")


def findings(tree: Path) -> list[str]:
    """Return what looks like a secret in a root or boot tree, one sentence each."""
    return sorted({*_names_and_contents(tree), *_accounts(tree)})


def _names_and_contents(tree: Path) -> Iterator[str]:
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder) / name
            place = str(path.relative_to(tree))
            for pattern, what in _FORBIDDEN:
                if pattern.search(place):
                    yield f"{place} {what}"
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= _LARGEST:
                yield from _content(path, place)


def _content(path: Path, place: str) -> Iterator[str]:
    data = path.read_bytes()
    if _PRIVATE_KEY.search(data) and not _SELF_TESTS.match(place):
        yield f"{place} contains a private key"
    if any(pattern.search(data) for pattern in _TOKENS):
        yield f"{place} contains an access token"
    if path.name in _PRESEEDS and _PASSWORD_LINE.search(data):
        yield f"{place} sets a password or token"


def _accounts(tree: Path) -> Iterator[str]:
    for name, field in (("etc/passwd", 1), ("etc/shadow", 1), ("etc/group", 1), ("etc/gshadow", 1)):
        path = tree / name
        if not path.is_file():
            continue
        for line in path.read_text("utf-8").splitlines():
            words = line.split(":")
            if len(words) > field and not _harmless(name, words[field]):
                yield f"{name}: {words[0]} has {_described(words[field])}"


def _harmless(name: str, field: str) -> bool:
    if name in {"etc/passwd", "etc/group"}:
        return field == "x" or bool(_LOCKED.match(field))
    # An empty field of gshadow means that the group has no password; of shadow, that the user has
    # an empty one.
    return bool(_LOCKED.match(field)) or (name == "etc/gshadow" and not field)


def _described(field: str) -> str:
    return "a password hash" if field else "no password and may log in without one"
