"""What is asked of iwd and what is made of its answers; the answers are those of iwd 3.8."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.card.fallback import Mode, Radio, Sight
from leyden.appliance.card.iwd import Iwd, IwdError

PATH = "/net/connman/iwd/0/6"
DEVICE = "net.connman.iwd.Device"
STATION = "net.connman.iwd.Station"
ACCESS_POINT = "net.connman.iwd.AccessPoint"


def typed(kind: str, value: object) -> dict[str, object]:
    return {"type": kind, "data": value}


class FakeBus:
    """Answers as `busctl --json=short` does for an iwd with one radio."""

    def __init__(self) -> None:
        self.mode = "station"
        self.state = "disconnected"
        self.started = self.scanning = False
        self.networks: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        self.refused: set[str] = set()
        self.radio = True

    def __call__(self, words: Sequence[str]) -> bytes:
        self.asked.append(tuple(words))
        if self.refused & set(words):
            raise IwdError("Call failed: Operation already in progress")
        if words[0] == "set-property":
            self._set(words[4], words[6])
            return b""
        return {
            "GetManagedObjects": self._objects,
            "GetOrderedNetworks": self._ordered,
            "Start": self._start,
            "Scan": self._scan,
        }[words[4]]()

    def _set(self, name: str, value: str) -> None:
        if name == "Mode" and value != self.mode:
            self.mode, self.started, self.state = value, False, "disconnected"

    def _start(self) -> bytes:
        self.started = True
        return b""

    def _scan(self) -> bytes:
        self.scanning = True
        return b""

    def _ordered(self) -> bytes:
        rows = [{"Name": typed("s", n), "SignalStrength": typed("n", -3000)} for n in self.networks]
        return json.dumps(typed("aa{sv}", [rows])).encode()

    def _objects(self) -> bytes:
        faces: dict[str, Any] = {
            DEVICE: {
                "Name": typed("s", "wlan0"),
                "Powered": typed("b", True),
                "Mode": typed("s", self.mode),
            },
            "org.freedesktop.DBus.Properties": {},
        }
        if self.mode == "station":
            faces[STATION] = {
                "Scanning": typed("b", False),
                "State": typed("s", self.state),
            }
        else:
            faces[ACCESS_POINT] = {
                "Started": typed("b", self.started),
                "Scanning": typed("b", self.scanning),
            }
        objects: dict[str, dict[str, Any]] = {
            "/": {},
            "/net/connman/iwd/0": {"net.connman.iwd.Adapter": {}},
        }
        if self.radio:
            objects[PATH] = faces
        return json.dumps(typed("a{oa{sa{sv}}}", [objects])).encode()


def new(hidden: bool = False) -> tuple[Iwd, FakeBus]:
    bus = FakeBus()
    iwd = Iwd("Home", hidden, bus)
    iwd.see()
    return iwd, bus


@pytest.mark.parametrize(
    ("state", "linked"),
    [("connected", True), ("roaming", True), ("connecting", False), ("disconnected", False)],
)
def test_a_station_is_linked_when_it_is_connected(state: str, linked: bool) -> None:
    iwd, bus = new()
    bus.state = state
    assert iwd.see() == Radio(Mode.STATION, linked=linked)


def test_a_daemon_that_does_not_answer_has_no_radio() -> None:
    iwd, bus = new()
    bus.refused = {"GetManagedObjects"}
    assert iwd.see() == Radio()


def test_no_radio_is_no_radio() -> None:
    iwd, bus = new()
    bus.radio = False
    assert iwd.see() == Radio(Mode.ABSENT)


def test_serving_takes_two_steps_and_is_asked_for_until_it_is_seen() -> None:
    iwd, bus = new()
    iwd.serve("leyden-18c3", "one two three")
    assert iwd.see() == Radio(Mode.ACCESS_POINT)
    iwd.serve("leyden-18c3", "one two three")
    assert iwd.see().serving
    starts = [words for words in bus.asked if "Start" in words]
    assert [words[4:] for words in starts] == [("Start", "ss", "leyden-18c3", "one two three")]
    iwd.serve("leyden-18c3", "one two three")
    assert len([words for words in bus.asked if "Start" in words]) == 1


def test_a_refusal_is_told() -> None:
    iwd, bus = new()
    bus.refused = {"Mode"}
    with pytest.raises(IwdError, match="already in progress"):
        iwd.serve("leyden-18c3", "one two three")


def serving() -> tuple[Iwd, FakeBus]:
    iwd, bus = new()
    bus.mode, bus.started = "ap", True
    iwd.see()
    return iwd, bus


@pytest.mark.parametrize(
    ("networks", "sight"),
    [(["Home", "Else"], Sight.SEEN), (["Else"], Sight.UNSEEN), ([], Sight.UNSEEN)],
)
def test_looking_ends_with_what_was_seen(networks: list[str], sight: Sight) -> None:
    iwd, bus = serving()
    iwd.look()
    assert iwd.see().sight is Sight.UNKNOWN
    bus.scanning, bus.networks = False, networks
    assert iwd.see().sight is sight
    assert iwd.see().sight is sight


def test_looking_again_forgets_what_was_seen() -> None:
    iwd, bus = serving()
    iwd.look()
    bus.scanning, bus.networks = False, ["Home"]
    iwd.see()
    iwd.look()
    assert iwd.see().sight is Sight.UNKNOWN


@pytest.mark.parametrize("method", ["Scan", "GetOrderedNetworks"])
def test_a_radio_that_refuses_to_look_is_unable(method: str) -> None:
    iwd, bus = serving()
    bus.refused = {method}
    iwd.look()
    bus.scanning = False
    assert iwd.see().sight is Sight.UNABLE


def test_a_network_that_hides_cannot_be_looked_for() -> None:
    iwd, bus = new(hidden=True)
    bus.mode, bus.started = "ap", True
    iwd.look()
    assert iwd.see().sight is Sight.UNABLE
    assert not [words for words in bus.asked if "Scan" in words]


def test_a_station_forgets_what_the_access_point_saw() -> None:
    iwd, bus = serving()
    iwd.look()
    bus.scanning, bus.networks = False, ["Home"]
    iwd.see()
    iwd.join()
    assert iwd.see() == Radio(Mode.STATION)


@given(st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode)))
def test_no_answer_stops_it(answer: bytes) -> None:
    assert Iwd("Home", bus=lambda _: answer).see().mode in Mode


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["data", "type", PATH, DEVICE, "Mode"]), inner)
        ),
        max_leaves=10,
    )
)
def test_no_json_stops_it(answer: object) -> None:
    data = json.dumps({"type": "a", "data": [answer]}).encode()
    assert Iwd("Home", bus=lambda _: data).see().mode in Mode
