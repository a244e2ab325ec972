"""Values: what each field of a preseed may hold, refused in words that say what to write.

A secret is never quoted: the words end up on screens, in a journal and in the panel.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

from leyden.appliance.words import shown

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface: TypeAlias = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, section 2.1
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_HEX_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\.toml", re.IGNORECASE)
_SSID_BYTES: Final = 32  # IEEE 802.11-2020, 9.4.2.2
_SHORTEST_PASSPHRASE: Final = 8  # IEEE 802.11-2020, annex J.4.1
_LONGEST_PASSPHRASE: Final = 63
_LONGEST_KEY: Final = 16_384  # characters of a public key's line
_KEY_KINDS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
# Two-letter codes that people write and that are no country's, and what they mean.
_MISTAKEN: Final = {"UK": "GB", "EN": "GB", "EL": "GR", "USA": "US"}
# ISO 3166-1 alpha-2, officially assigned.
_CODES: Final = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS
BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE
EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM
HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC
LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES: Final = frozenset(_CODES.split())


def hostname(value: Any) -> str:
    """Return a host name in small letters.

    Raises:
        ValueError: it is none, in words, as everywhere here.
    """
    text = _text(value, 'a name such as "greenhouse"').strip().lower()
    if "." in text:
        first = text.partition(".")[0]
        words = "expected a name without dots (.local is added by itself)"
        raise ValueError(f'found {shown(value)}, {words}; try "{first}"')
    if not _LABEL.fullmatch(text):
        words = "expected 1 to 63 of the letters a-z, digits and hyphens, no hyphen at either end"
        raise ValueError(f"found {shown(value)}, {words}{_tried(text)}")
    if text == "localhost" or text.isdigit():
        raise ValueError(f"found {shown(value)}, expected a name of its own with a letter in it")
    return text


def _tried(text: str) -> str:
    better = re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:63].strip("-")
    return f'; try "{better}"' if _LABEL.fullmatch(better) else ""


def timezone(value: Any, zones: Path) -> str:
    """Return the name of a time zone that this system has.

    Args:
        value: what was found.
        zones: the folder that holds them, one file each.
    """
    text = _text(value, 'a time zone such as "Europe/Berlin"').strip()
    if not _ZONE.fullmatch(text) or not (zones / text).is_file():
        near = _near(text, _zone_names(zones))
        raise ValueError(
            f'found {shown(value)}, expected the name of a time zone such as "Europe/Berlin" '
            f'or "UTC"{near}'
        )
    return text


def _zone_names(zones: Path) -> list[str]:
    found = (each.relative_to(zones) for each in zones.glob("[A-Z]*/**/*") if each.is_file())
    return sorted(str(each) for each in found)


def _near(text: str, names: Iterable[str]) -> str:
    # "berlin" is meant as "Europe/Berlin": compare without the part of the world as well.
    known = {name.rpartition("/")[2].lower(): name for name in names}
    known |= {name.lower(): name for name in names}
    found = difflib.get_close_matches(text.lower().replace(" ", "_"), known, n=1, cutoff=0.6)
    return f'; did you mean "{known[found[0]]}"?' if found else ""


def ssid(value: Any) -> str:
    """Return the name of a Wi-Fi network."""
    text = _text(value, "the name of the Wi-Fi network in quotes")
    size = len(text.encode("utf-8", "surrogatepass"))
    if not 1 <= size <= _SSID_BYTES:
        raise ValueError(f"found {size} bytes, expected the network's name, 1 to {_SSID_BYTES}")
    if not text.isprintable():
        raise ValueError(f"found {shown(value)}, expected a name without control characters")
    return text


def passphrase(value: Any) -> str:
    """Return a WPA passphrase; it is secret."""
    text = _secret(value, "the network's password in quotes")
    if not _SHORTEST_PASSPHRASE <= len(text) <= _LONGEST_PASSPHRASE:
        raise ValueError(
            f"found {len(text)} characters, expected {_SHORTEST_PASSPHRASE} to "
            f"{_LONGEST_PASSPHRASE} (64 hexadecimal digits go into psk)"
        )
    if not text.isascii() or not text.isprintable():
        raise ValueError(
            "found a character that is none of letters a-z, digits and signs of a US keyboard; "
            "a backslash is written twice, or the text is put in single quotes"
        )
    return text


def psk(value: Any) -> str:
    """Return a WPA key, 64 hexadecimal digits; it is secret."""
    text = _secret(value, "64 hexadecimal digits in quotes").strip()
    if not _HEX_KEY.fullmatch(text):
        raise ValueError(
            f"found {len(text)} characters, expected 64 hexadecimal digits (a password as people "
            "type it goes into password)"
        )
    return text.lower()


def country(value: Any) -> str:
    """Return a country's two letters, capital."""
    text = _text(value, 'two letters such as "DE"').strip().upper()
    if text not in COUNTRIES:
        meant = _MISTAKEN.get(text, "")
        hint = f'; did you mean "{meant}"?' if meant else ""
        words = 'expected the two letters of a country (ISO 3166) such as "DE", "GB" or "US"'
        raise ValueError(f"found {shown(value)}, {words}{hint}")
    return text


def interface_address(value: Any) -> Interface:
    """Return an address with the length of its network."""
    example = '"192.168.1.50/24"'
    text = _text(value, f"an address such as {example}").strip()
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        words = f"expected an address with the length of its network such as {example}"
        raise ValueError(f"found {shown(value)}, {words}") from None
    if "/" not in text:
        words = f'expected the length of its network after it; in most homes: "{text}/24"'
        raise ValueError(f"found {shown(value)}, {words}")
    _usable(found, value)
    return found


def _usable(found: Interface, value: Any) -> None:
    address, network = found.ip, found.network
    if address.is_loopback or address.is_multicast or address.is_unspecified:
        raise ValueError(f"found {shown(value)}, expected an address that a machine can have")
    if network.num_addresses > 2:
        if address == network.network_address and address.version == 4:
            raise ValueError(f"found {shown(value)}, the network itself; expected one host in it")
        if address == network.broadcast_address and address.version == 4:
            raise ValueError(f"found {shown(value)}, everybody's address; expected one host's")


def address(value: Any) -> Address:
    """Return an address without the length of a network."""
    text = _text(value, 'an address such as "192.168.1.1"').strip()
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        alone = text.partition("/")[0]
        hint = f'; try "{alone}"' if "/" in text else ""
        words = 'expected an address such as "192.168.1.1"'
        raise ValueError(f"found {shown(value)}, {words}{hint}") from None


def public_key(value: Any) -> str:
    """Return the line of a public SSH key."""
    expected = "expected a line as in ~/.ssh/id_ed25519.pub"
    text = _secret(value, "the line of a public key in quotes").strip()
    if "PRIVATE KEY" in text:
        raise ValueError(f"found a private key, which must stay where it was made; {expected}")
    if len(text) > _LONGEST_KEY or not text.isprintable():
        raise ValueError(f"found more than one line, or control characters; {expected}")
    kind, _, rest = text.partition(" ")
    if kind not in _KEY_KINDS:
        raise ValueError(
            f"found {len(text)} characters that begin otherwise, {expected}, which begins with "
            f"{_KEY_KINDS[0]}, ssh-rsa or the like (ssh-dss is no longer safe)"
        )
    if not _is_key(kind, rest.split(" ")[0]):
        raise ValueError(f"found a damaged {kind} key; copy the whole line again, {expected}")
    return text


def _is_key(kind: str, encoded: str) -> bool:
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    # RFC 4253, section 6.6: each part with its length, the kind first.
    parts: list[bytes] = []
    while data:
        size = int.from_bytes(data[:4], "big")
        part = data[4 : 4 + size]
        if len(data) < 4 or len(part) != size:
            return False
        parts.append(part)
        data = data[4 + size :]
    return len(parts) > 1 and parts[0] == kind.encode()


def password_hash(value: Any, check: Callable[[str], None]) -> str:
    """Return the hash of a panel password; `check` refuses what the panel could not use."""
    text = _secret(value, "the hash that `leyden password hash` prints, in quotes").strip()
    if text and not text.startswith("$"):
        raise ValueError(
            f"found {len(text)} characters that are no hash, expected what `leyden password hash` "
            "prints ($argon2id$…); never write the password itself on a card"
        )
    check(text)
    return text


def file_name(value: Any) -> str:
    """Return the name of a TOML file beside the preseed."""
    text = _text(value, 'a file name such as "greenhouse.toml"').strip()
    if not _FILE.fullmatch(text):
        words = "expected the name of a .toml file beside this one, without a folder"
        raise ValueError(f"found {shown(value)}, {words}")
    if text.lower() == "leyden.toml":
        raise ValueError(f"found {shown(value)}, this very file; expected another one beside it")
    return text


def _text(value: Any, expected: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"found {shown(value)}, expected {expected}")
    return _utf8(value)


def _secret(value: Any, expected: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"found no text, expected {expected}")
    return _utf8(value)


def _utf8(text: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("found letters that are not UTF-8; save the file as UTF-8")
    return text
