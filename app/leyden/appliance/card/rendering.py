"""Rendering: settings as the files that the system reads. Nothing here touches a disk."""

from __future__ import annotations

from typing import Final

from leyden.appliance.card.record import Settings, Static, Wifi

_HEAD: Final = "# Made at each boot from the settings; changes are lost. See leyden.toml.\n"
_WELL_KNOWN: Final = """\
127.0.0.1 localhost
127.0.1.1 {name}.local {name}
::1 localhost ip6-localhost ip6-loopback
"""
# Networks whose access point was at fault once are tried again within a minute, not within a day,
# and looked for as often: an appliance has nobody who would click "connect".
_IWD: Final = """\
[General]
EnableNetworkConfiguration=false
Country={country}

[DriverQuirks]
PowerSaveDisable=*

[Scan]
InitialPeriodicScanInterval=10
MaximumPeriodicScanInterval=60

[Blacklist]
InitialTimeout=10
Multiplier=1
MaximumTimeout=60
"""
_MATCHES: Final = {
    "wired": "Type=ether\nKind=!*",
    "wifi": "Type=wlan\nWLANInterfaceType=station",
}


def hosts(hostname: str) -> str:
    """Return /etc/hosts."""
    return _HEAD + _WELL_KNOWN.format(name=hostname)


def network(static: Static) -> str:
    """Return a systemd.network file for a fixed address.

    Addresses of the link itself stay, so that a cable and `<name>.local` reach a machine whose
    fixed address turns out to be wrong.
    """
    lines = [
        "[Match]",
        _MATCHES[static.interface],
        "",
        "[Network]",
        f"Address={static.address}",
        *([f"Gateway={static.gateway}"] if static.gateway else []),
        *(f"DNS={each}" for each in static.dns),
        "LinkLocalAddressing=yes",
        "IPv6AcceptRA=yes",
        "MulticastDNS=yes",
        "LLMNR=no",
        "",
        "[Link]",
        "RequiredForOnline=no",
    ]
    return _HEAD + "\n".join(lines) + "\n"


def iwd_main(country: str) -> str:
    """Return iwd's own configuration; addresses are systemd-networkd's business."""
    return _HEAD + _IWD.format(country=country)


def iwd_name(wifi: Wifi) -> str:
    """Return the name of the file in which iwd looks for a network (iwd.network(5), NAMING)."""
    plain = all(char.isascii() and (char.isalnum() or char in " _-") for char in wifi.ssid)
    stem = wifi.ssid if plain else f"={wifi.ssid.encode().hex()}"
    return f"{stem}.{'open' if wifi.open else 'psk'}"


def iwd_network(wifi: Wifi) -> str:
    """Return that file."""
    lines = []
    if not wifi.open:
        secret = f"PreSharedKey={wifi.psk}" if wifi.psk else f"Passphrase={_escaped(wifi.password)}"
        lines += ["[Security]", secret, ""]
    lines += ["[Settings]", "AutoConnect=true", f"Hidden={str(wifi.hidden).lower()}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    # iwd.network(5), FILE FORMAT: a backslash always, a space where the value begins.
    escaped = text.replace("\\", "\\\\")
    return "\\s" + escaped[1:] if escaped.startswith(" ") else escaped


def authorized_keys(settings: Settings) -> str:
    """Return the keys that may log in, one a line; "" for none."""
    return "".join(f"{key}\n" for key in settings.authorized_keys)
