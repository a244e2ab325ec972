"""Addresses: under which this machine can be reached at the moment, and when that changes.

The kernel tells both over a netlink socket (rtnetlink(7)): a list when asked, a message when an
address comes or goes.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import Final

from leyden.appliance.card.values import Address

# linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
_GROUPS: Final = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_NEW_ADDRESS: Final = 20
_GET_ADDRESS: Final = 22
_DONE: Final = 3
_ERROR: Final = 2
_REQUEST_DUMP: Final = 0x1 | 0x300  # NLM_F_REQUEST, NLM_F_DUMP
_ADDRESS: Final = 1  # IFA_ADDRESS: the peer's on a link between two
_LOCAL: Final = 2  # IFA_LOCAL
_FLAGS: Final = 8  # IFA_FLAGS
_TENTATIVE: Final = 0x40  # not known to be nobody else's
_DEPRECATED: Final = 0x20
_TEMPORARY: Final = 0x01  # for privacy; gone tomorrow
_HEAD: Final = struct.Struct("=IHHII")  # length, type, flags, number, port
_BODY: Final = struct.Struct("=BBBBI")  # family, prefix, flags, scope, interface
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_BUFFER: Final = 1 << 17
_REPLY_S: Final = 5.0


class Watch:
    """Tells the addresses there are, and waits for others.

    Raises:
        OSError: the kernel gives no such socket.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))

    def close(self) -> None:
        """Stop watching."""
        self._socket.close()

    def wait(self, seconds: float) -> bool:
        """Return whether an address came or went within that time; waits no longer."""
        ready, _, _ = select.select([self._socket], [], [], seconds)
        if not ready:
            return False
        try:
            self._socket.recv(_BUFFER)
        except OSError:
            return True  # too much happened at once: all the more reason to look again
        return True


def current() -> tuple[Address, ...]:
    """Return the addresses that others can reach, IPv4 first.

    Raises:
        OSError: the kernel gives no such list.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
        asked.bind((0, 0))
        asked.settimeout(_REPLY_S)
        body = _BODY.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        head = _HEAD.pack(_HEAD.size + len(body), _GET_ADDRESS, _REQUEST_DUMP, 1, 0)
        asked.send(head + body)
        found: set[Address] = set()
        while True:
            data = asked.recv(_BUFFER)
            found.update(reachable(data))
            if ends(data):
                return tuple(sorted(found, key=lambda each: (each.version, each.packed)))


def reachable(data: bytes) -> Iterator[Address]:
    """Yield the addresses in netlink messages that are good for a visitor."""
    for kind, payload in _messages(data):
        if kind == _NEW_ADDRESS and len(payload) >= _BODY.size:
            address = _address(payload)
            if address is not None and not (address.is_loopback or address.is_link_local):
                yield address


def ends(data: bytes) -> bool:
    """Whether a list is complete with these messages.

    Raises:
        OSError: the kernel says that there is none.
    """
    for kind, payload in _messages(data):
        if kind == _ERROR and len(payload) >= 4:
            number = -struct.unpack_from("=i", payload)[0]
            raise OSError(number, os.strerror(number))
        if kind == _DONE:
            return True
    return False


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEAD.size:
        length, kind, *_ = _HEAD.unpack_from(data)
        if not _HEAD.size <= length <= len(data):
            return
        yield kind, data[_HEAD.size : length]
        data = data[-(-length // 4) * 4 :]  # each begins at a multiple of four


def _address(payload: bytes) -> Address | None:
    flags = payload[2]
    attributes = dict(_attributes(payload[_BODY.size :]))
    if len(attributes.get(_FLAGS, b"")) == 4:
        flags = int.from_bytes(attributes[_FLAGS], "little" if _little() else "big")
    packed = attributes.get(_LOCAL, attributes.get(_ADDRESS, b""))
    unfit = flags & (_TENTATIVE | _DEPRECATED)
    if unfit or len(packed) not in (4, 16):
        return None
    found = ipaddress.ip_address(packed)
    # The same bit means "further address" for IPv4.
    return None if found.version == 6 and flags & _TEMPORARY else found


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size <= length <= len(data):
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[-(-length // 4) * 4 :]


def _little() -> bool:
    return struct.pack("=H", 1) == b"\1\0"
