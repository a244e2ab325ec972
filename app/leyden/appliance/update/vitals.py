"""What can be seen of this appliance from beside it: addresses, ports, devices, log."""

from __future__ import annotations

import fcntl
import http.client
import ipaddress
import socket
import ssl
import struct
from pathlib import Path
from typing import Final

from leyden.appliance.update.card import Card
from leyden.eventlog.reader import LogReader
from leyden.kernel import LeydenError, last_number
from leyden.link.client import LinkClient

_ANSWER_S: Final = 5.0
_PATHS: Final = {"http": (80, "/health"), "https": (443, "/healthz")}
_SIOCGIFADDR: Final = 0x8915  # netdevice(7)
_IFREQ: Final = struct.Struct("16s16s8x")  # name, struct sockaddr
_GLOBAL: Final = "00"  # scope in /proc/net/if_inet6


class CardVitals:
    """The vitals of the appliance that runs from `card`.

    Args:
        card: where socket and log are.
        ports: port and path of each door of the panel; others only in tests.
    """

    def __init__(self, card: Card, ports: dict[str, tuple[int, str]] | None = None) -> None:
        self._card = card
        self._ports = ports or _PATHS
        self._log = LogReader(card.log)

    def addresses(self) -> tuple[str, ...]:
        """The addresses under which the network knows this machine, IPv4 first."""
        names = [name for _, name in socket.if_nameindex() if name != "lo"]
        old = tuple(filter(None, map(_ipv4_of, names)))
        return old + _ipv6_of(self._card.root / "proc/net/if_inet6", names)

    def door(self, door: str, address: str) -> str:
        """What is wrong with the panel's http or https port; empty when it answers well."""
        port, path = self._ports[door]
        try:
            status = _status(door, address, port, path)
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        return "" if status == http.HTTPStatus.OK else f"found status {status}, expected 200"

    def devices(self) -> dict[str, str] | str:
        """The state of each device, in words; or what keeps the runtime from telling."""
        try:
            with self._client() as client:
                return {device.id: device.state for device in client.devices().devices}
        except LeydenError as error:
            return str(error)

    def log(self) -> str:
        """What is wrong with the log; empty when what was published last is on the card."""
        try:
            with self._client() as client:
                hello = client.hello()
        except LeydenError as error:
            return str(error)
        for record in self._log.read(hello.head - 1, 1).records:
            if record.boot == hello.boot and last_number(record) >= hello.head:
                return ""
        return f"event {hello.head} of this start is not in {self._card.log}"

    def _client(self) -> LinkClient:
        return LinkClient(self._card.link, name="leyden update", timeout_s=_ANSWER_S)


def _status(door: str, address: str, port: int, path: str) -> int:
    connection: http.client.HTTPConnection
    if door == "https":
        connection = http.client.HTTPSConnection(
            address, port, timeout=_ANSWER_S, context=_unjudged()
        )
    else:
        connection = http.client.HTTPConnection(address, port, timeout=_ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def _unjudged() -> ssl.SSLContext:
    # We ask ourselves on our own address; whether a clock without a battery thinks that our own
    # certificate holds already says nothing about the update.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ipv4_of(name: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            answer = fcntl.ioctl(asker, _SIOCGIFADDR, _IFREQ.pack(name.encode(), b""))
        except OSError:
            return ""  # it has none
    return socket.inet_ntoa(_IFREQ.unpack(answer)[1][4:8])


def _ipv6_of(table: Path, names: list[str]) -> tuple[str, ...]:
    try:
        rows = [line.split() for line in table.read_text("ascii").splitlines()]
    except OSError:
        return ()  # the kernel has no IPv6
    return tuple(
        str(ipaddress.IPv6Address(int(row[0], 16)))
        for row in rows
        if row[3] == _GLOBAL and row[5] in names
    )
