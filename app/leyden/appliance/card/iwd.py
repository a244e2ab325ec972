"""Iwd: the wireless daemon, asked over D-Bus by way of systemd's `busctl`.

Python has no D-Bus of its own; `busctl` comes with systemd, speaks JSON, and is asked a few times a
minute at most. Interfaces as in iwd's `doc/device-api.txt`, `station-api.txt` and
`access-point-api.txt`; tried against iwd 3.8.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from leyden.appliance.card.fallback import Mode, Radio, Sight
from leyden.kernel import LeydenError

SERVICE: Final = "net.connman.iwd"
_DEVICE: Final = f"{SERVICE}.Device"
_STATION: Final = f"{SERVICE}.Station"
_ACCESS_POINT: Final = f"{SERVICE}.AccessPoint"
_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
_LINKED: Final = ("connected", "roaming")
_ANSWER_S: Final = 10
_PATIENCE_S: Final = 15.0  # for busctl itself

Bus = Callable[[Sequence[str]], bytes]
Objects = dict[str, dict[str, dict[str, Any]]]  # path, interface, property


class IwdError(LeydenError):
    """The daemon is not there, or refuses."""


def busctl(words: Sequence[str]) -> bytes:
    """Return what `busctl` answers.

    Raises:
        IwdError: it ends otherwise than well.
    """
    command = ["busctl", "--system", "--json=short", f"--timeout={_ANSWER_S}", *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IwdError(f"busctl does not answer: {error}") from error
    if done.returncode:
        raise IwdError(done.stderr.decode("utf-8", "replace").strip() or "busctl failed")
    return done.stdout


@dataclass(slots=True)
class Iwd:
    """The radio of this machine; the first one, where there are several.

    Args:
        ssid: the network to look for.
        hidden: whether it does not tell its name, so that looking finds nothing.
        bus: asks the daemon.
    """

    ssid: str
    hidden: bool = False
    bus: Bus = busctl
    _path: str = ""
    _looking: bool = field(default=False)
    _sight: Sight = Sight.UNKNOWN

    def see(self) -> Radio:
        """Return what is seen of the radio; one that is absent where the daemon is."""
        try:
            objects = self._objects()
        except IwdError:
            self._path = ""
            return Radio()
        found = sorted(path for path, faces in objects.items() if _DEVICE in faces)
        if not found:
            self._path = ""
            return Radio()
        self._path = found[0]
        return self._radio(objects[self._path])

    def join(self) -> None:
        """Be a station; the daemon connects to the networks it knows by itself.

        Raises:
            IwdError: the daemon refuses.
        """
        self._set(_DEVICE, "Powered", "b", "true")
        self._set(_DEVICE, "Mode", "s", "station")

    def serve(self, name: str, password: str) -> None:
        """Be an access point, or take the next step to it.

        Raises:
            IwdError: the daemon refuses.
        """
        faces = self._objects().get(self._path, {})
        if faces.get(_DEVICE, {}).get("Mode") != "ap":
            self._set(_DEVICE, "Powered", "b", "true")
            self._set(_DEVICE, "Mode", "s", "ap")
        elif not faces.get(_ACCESS_POINT, {}).get("Started"):
            self._call(_ACCESS_POINT, "Start", "ss", name, password)

    def look(self) -> None:
        """Begin to look which networks are there while serving; `see` tells what came of it."""
        self._sight, self._looking = Sight.UNKNOWN, False
        if self.hidden:
            self._sight = Sight.UNABLE
            return
        try:
            self._call(_ACCESS_POINT, "Scan")
            self._looking = True
        except IwdError:
            self._sight = Sight.UNABLE

    def _radio(self, faces: dict[str, dict[str, Any]]) -> Radio:
        if faces[_DEVICE].get("Mode") != "ap":
            self._sight, self._looking = Sight.UNKNOWN, False
            return Radio(Mode.STATION, linked=faces.get(_STATION, {}).get("State") in _LINKED)
        access_point = faces.get(_ACCESS_POINT, {})
        if self._looking and not access_point.get("Scanning"):
            self._looking = False
            self._sight = self._seen()
        started = bool(access_point.get("Started"))
        return Radio(Mode.ACCESS_POINT, serving=started, sight=self._sight)

    def _seen(self) -> Sight:
        try:
            data = self._call(_ACCESS_POINT, "GetOrderedNetworks")
            names = [each.get("Name") for each in _plain(data, list[dict[str, Any]])]
        except IwdError:
            return Sight.UNABLE
        return Sight.SEEN if self.ssid in names else Sight.UNSEEN

    def _objects(self) -> Objects:
        words = ("call", SERVICE, "/", _MANAGER, "GetManagedObjects")
        found: Objects = _plain(self.bus(words), Objects)
        return found

    def _set(self, face: str, name: str, signature: str, value: str) -> None:
        self.bus(("set-property", SERVICE, self._path, face, name, signature, value))

    def _call(self, face: str, method: str, *words: str) -> bytes:
        return self.bus(("call", SERVICE, self._path, face, method, *words))


def _plain(data: bytes, kind: Any) -> Any:
    """Return the one value of an answer, without D-Bus' types.

    Raises:
        IwdError: it is no such answer.
    """
    try:
        return msgspec.convert(_untyped(msgspec.json.decode(data)["data"][0]), kind)
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError) as error:
        raise IwdError("busctl answers something else than expected") from error


def _untyped(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"type", "data"}:
            return _untyped(value["data"])
        return {key: _untyped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_untyped(each) for each in value]
    return value
