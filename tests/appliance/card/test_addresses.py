"""Addresses as the kernel tells them: this machine's own, and messages of every shape."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.card import addresses

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")


def attribute(kind: int, data: bytes) -> bytes:
    padded = data + bytes(-len(data) % 4)
    return struct.pack("=HH", 4 + len(data), kind) + padded


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 1, 0) + payload


def address(text: str, *, flags: int = 0x80, local: bool = True) -> bytes:
    found = ipaddress.ip_address(text)
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    body = struct.pack("=BBBBI", family, 24, flags & 0xFF, 0, 2)
    kind = 2 if local else 1
    return message(
        20, body + attribute(kind, found.packed) + attribute(8, struct.pack("=I", flags))
    )


def texts(data: bytes) -> list[str]:
    return [str(each) for each in addresses.reachable(data)]


@LINUX
def test_the_machines_own_addresses_are_none_that_only_it_can_reach() -> None:
    for each in addresses.current():
        assert not each.is_loopback
        assert not each.is_link_local


@LINUX
def test_waiting_ends_when_nothing_happens() -> None:
    watch = addresses.Watch()
    assert not watch.wait(0.0)
    watch.close()


@pytest.mark.parametrize("text", ["192.168.1.23", "2001:db8::5", "fd00::1"])
@pytest.mark.parametrize("local", [True, False])
def test_an_address_of_others_is_told(text: str, local: bool) -> None:
    assert texts(address(text, local=local)) == [text]


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "169.254.7.7", "fe80::1"])
def test_addresses_of_the_link_and_of_itself_are_not(text: str) -> None:
    assert texts(address(text)) == []


@pytest.mark.parametrize("flags", [0x40, 0x20, 0x01])
def test_an_address_that_will_not_last_is_not(flags: int) -> None:
    assert texts(address("2001:db8::5", flags=flags)) == []


def test_a_further_ipv4_address_lasts() -> None:
    assert texts(address("192.168.1.24", flags=0x01)) == ["192.168.1.24"]


def test_several_messages_come_in_one_piece() -> None:
    data = address("192.168.1.23") + message(99, b"abc\0") + address("2001:db8::5")
    assert texts(data) == ["192.168.1.23", "2001:db8::5"]


def test_a_list_ends_where_the_kernel_says() -> None:
    assert not addresses.ends(address("192.168.1.23"))
    assert addresses.ends(address("192.168.1.23") + message(3, bytes(4)))


def test_an_error_of_the_kernel_is_an_error() -> None:
    with pytest.raises(PermissionError):
        addresses.ends(message(2, struct.pack("=i", -1) + bytes(16)))


@given(st.binary(max_size=200))
def test_no_bytes_stop_it(data: bytes) -> None:
    assert len(texts(data)) <= len(data)


@given(st.binary(max_size=60), st.sampled_from([20, 2, 3]))
def test_no_payload_stops_it(payload: bytes, kind: int) -> None:
    data = message(kind, payload)
    texts(data)
    with suppress(OSError):  # the kernel may say that something went wrong; nothing else may
        addresses.ends(data)
