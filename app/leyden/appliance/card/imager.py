"""Imager: what Raspberry Pi Imager writes on the boot partition when its form is filled in.

For an image whose manifest says `"init_format": "cloudinit"`, Imager 1.8 to 2.0 leaves `user-data`
and `network-config` (its `customization_generator.cpp` makes both). They are YAML, but always the
same few lines, written one by one; so lines are what is read here, and no others. Its form asks for
a user and a password as well, which this system does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from leyden.appliance.card.text_file import UnreadableError, decode, lines_of

USER_DATA: Final = "user-data"
NETWORK_CONFIG: Final = "network-config"
META_DATA: Final = "meta-data"
FILES: Final = (USER_DATA, NETWORK_CONFIG, META_DATA)

_LONGEST: Final = 64 * 1024  # bytes
_KEY: Final = re.compile(r"- (?P<key>(?:ssh-|ecdsa-|sk-)\S+ .*)")
_NETWORK: Final = re.compile(r'"(?P<ssid>.*)":')
_PAIR: Final = re.compile(r"(?:- )?(?P<name>[a-z0-9_-]+): *(?P<value>.*)")
_USER: Final = re.compile(r"(?:- )?(name|passwd|plain_text_passwd):")
_YES: Final = ("true", "yes", "on")


def wishes_of(user_data: bytes, network_config: bytes) -> dict[str, Any]:
    """Return what the form was filled in with, as a preseed's table; nothing is judged yet."""
    table: dict[str, Any] = {}
    keys: list[str] = []
    for line in _lines(user_data):
        key = _KEY.fullmatch(line)
        pair = _PAIR.fullmatch(line)
        if key is not None:
            keys.append(key["key"])
        elif pair is not None and pair["name"] in ("hostname", "timezone") and pair["value"]:
            table[pair["name"]] = _unquoted(pair["value"])
    if keys:
        table["ssh"] = {"authorized_keys": keys}
    wifi = _wifi(network_config)
    if wifi:
        table["wifi"] = wifi
    return table


def names_user(user_data: bytes) -> bool:
    """Whether the form asks for a user or a password, neither of which there is here."""
    return any(_USER.match(line) for line in _lines(user_data))


def _wifi(network_config: bytes) -> dict[str, Any]:
    wifi: dict[str, Any] = {}
    for line in _lines(network_config):
        network, pair = _NETWORK.fullmatch(line), _PAIR.fullmatch(line)
        if network is not None and "ssid" not in wifi:
            wifi["ssid"] = _plain(network["ssid"])
        elif pair is None or not pair["value"]:
            continue
        elif pair["name"] == "regulatory-domain":
            wifi["country"] = _unquoted(pair["value"])
        elif pair["name"] == "hidden":
            wifi["hidden"] = pair["value"] in _YES
        elif pair["name"] == "password":
            wifi |= _keyed(_unquoted(pair["value"]))
    return wifi


def _keyed(text: str) -> dict[str, Any]:
    # Imager hashes a password itself; a network without one has an empty text.
    if not text:
        return {"open": True}
    return {"psk": text} if len(text) == 64 else {"password": text}


def _lines(data: bytes) -> Iterator[str]:
    try:
        text = decode(data[:_LONGEST]).text
    except UnreadableError:
        return
    for line in lines_of(text):
        stripped = line.strip()
        if not stripped.startswith("#"):
            yield stripped


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return _plain(value[1:-1])
    return value


def _plain(text: str) -> str:
    # Of everything that YAML would escape, Imager escapes the quote alone.
    return text.replace('\\"', '"')
