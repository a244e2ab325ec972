"""Judging: takes out of a preseed's table what is wrong, and says so, field by field."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from leyden.appliance.card import values
from leyden.appliance.card.sections import hosts_line, of_appliance
from leyden.appliance.card.statements import Document, Statement, key_of
from leyden.appliance.card.wishes import (
    ZONES,
    NetworkTable,
    PanelTable,
    SshTable,
    WifiTable,
    Wishes,
    is_public,
)
from leyden.appliance.words import sentence, shown, unknown_key

_MOST_KEYS: Final = 64  # public keys
_MOST_WORDS: Final = 24  # complaints that are told; more would only bury them
_PLAIN_PASSWORDS: Final = ("password", "passwd", "pass")
_EXPECTED: Final = {"bool_type": "true or false, without quotes", "list_type": "a list"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a file."""

    file: str
    text: str  # what was found, what was expected, what to try
    path: tuple[str, ...] = ()
    line: int | None = None

    def __str__(self) -> str:
        """Return it as one line: file, line, field, words."""
        place = f"line {self.line}: " if self.line is not None else ""
        names = [part for part in self.path if not part.isdigit()]
        numbers = "".join(f" ({part})" for part in self.path if part.isdigit())
        field = f"{'.'.join(names)}{numbers}: " if names else ""
        return f"{self.file}: {place}{field}{self.text}"


class Judge:
    """Takes out of a table what is wrong, and says so."""

    def __init__(self, name: str, document: Document, zones: Path) -> None:
        self._name = name
        self._document = document
        self._zones = zones
        self._found: dict[Complaint, None] = {}

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """All of them in the order of the file, cut short where it is full of mistakes."""
        ordered = sorted(self._found, key=lambda each: (each.line or sys.maxsize, each.path))
        more = len(ordered) - _MOST_WORDS
        if more <= 0:
            return tuple(ordered)
        rest = Complaint(self._name, f"{more} more lines or fields are wrong")
        return (*ordered[:_MOST_WORDS], rest)

    def name_broken(self, lines: Sequence[str]) -> None:
        """Complain about the lines that are no TOML."""
        for each in self._document.broken:
            # What stands under a broken [table] was named with it, and the appliance's part has a
            # judge of its own.
            if each.problem and not of_appliance(each):
                key = key_of(lines[each.first - 1])
                path = (*each.table, key) if key else ()
                self._add(path, f"{each.problem}; left out", each.first)

    def name_lost(self, secrets: Sequence[Statement], wishes: Wishes) -> None:
        """Say which secrets nobody has, since they were left out and are wiped all the same."""
        lost = [each for each in secrets if not any(_kept(wishes, path) for path in each.paths)]
        if lost:
            lines = ", ".join(str(each.first) for each in lost)
            words = f"what may be a password (line {lines}) was left out, and wiped all the same"
            self._add((), f"{words}; write it again when you correct the file")

    def judged(self, table: Mapping[str, Any], *, inline: bool) -> Wishes:
        """Return what is left of a table.

        Args:
            table: the file, without an appliance's own tables.
            inline: whether those were there.
        """
        left = {key: _copy(value) for key, value in table.items()}
        self._move_hosts(left, inline)
        while True:  # each round takes something out, so it ends
            try:
                wishes = Wishes.model_validate(left, strict=True, context={ZONES: self._zones})
                return self._crossed(wishes)
            except ValidationError as error:
                wrong = error.errors(include_url=False)
            for each in wrong:
                self._add(each["loc"], f"{self._words(each)}; left out")
            # Backwards, so that the numbers in a list stay true while things are taken out of it.
            for place in sorted((each["loc"] for each in wrong), key=_by_number, reverse=True):
                _take_out(left, place)

    def _move_hosts(self, table: dict[str, Any], inline: bool) -> None:
        panel = table.get("panel")
        if not isinstance(panel, dict) or "hosts" not in panel:
            return
        del panel["hosts"]
        if not inline:
            words = "belongs to the appliance's configuration; write that below, or name its file"
            self._add(("panel", "hosts"), f"{words} with appliance_file; left out")
        elif hosts_line(self._document) is None:
            words = "stands on one line with other keys, expected one of its own"
            self._add(("panel", "hosts"), f"{words}; left out")

    def _words(self, error: Any) -> str:
        place, kind = error["loc"], error["type"]
        if kind == "extra_forbidden":
            return _unknown(place, error["input"])
        if kind == "value_error":
            return sentence(error)
        if place[0] == "ssh" or not is_public(place):
            return f"found something else, expected {_EXPECTED.get(kind, 'text in quotes')}"
        found = shown(error["input"])
        if kind == "model_type":
            return f"found {found}, expected a table: [{place[0]}] on a line of its own"
        if kind == "list_type":
            return f"found {found}, expected a list: [{found}]"
        return sentence(error)

    def _crossed(self, wishes: Wishes) -> Wishes:
        """Take out what does not go together."""
        keys = wishes.ssh.authorized_keys
        if keys is not None and len(keys) > _MOST_KEYS:
            words = f"found {len(keys)} keys, expected at most {_MOST_KEYS}; the others left out"
            self._add(("ssh", "authorized_keys"), words)
            ssh = SshTable(authorized_keys=keys[:_MOST_KEYS])
            wishes = wishes.model_copy(update={"ssh": ssh})
        return wishes.model_copy(
            update={"network": self._network(wishes.network), "wifi": self._wifi(wishes.wifi)}
        )

    def _wifi(self, wifi: WifiTable) -> WifiTable:
        if wifi.password is not None and wifi.psk is not None:
            self._add(("wifi", "psk"), "password is there too, and one is enough; left out")
            wifi = wifi.model_copy(update={"psk": None})
        if wifi.open and (wifi.password is not None or wifi.psk is not None):
            words = "found true, but there is a password; an open network has none; left out"
            self._add(("wifi", "open"), words)
            wifi = wifi.model_copy(update={"open": None})
        return wifi

    def _network(self, network: NetworkTable) -> NetworkTable:
        if network.dhcp and network.address is not None:
            words = "found true beside an address; leave one of them out; the address counts"
            self._add(("network", "dhcp"), words)
            network = network.model_copy(update={"dhcp": None})
        if network.address is None:
            for key in ("gateway", "dns"):
                if getattr(network, key) is not None:
                    self._add(("network", key), "has no address beside it; left out")
                    network = network.model_copy(update={key: None})
        elif network.gateway is not None and not _reachable(network.address, network.gateway):
            words = f"found {network.gateway}, expected another host of {network.address.network}"
            self._add(("network", "gateway"), f"{words}; left out")
            network = network.model_copy(update={"gateway": None})
        return network

    def _add(self, place: Sequence[int | str], text: str, line: int | None = None) -> None:
        named = tuple(part for part in place if isinstance(part, str))
        number = line if line is not None else self._document.line(named)
        path = tuple(part if isinstance(part, str) else f"{part + 1}" for part in place)
        self._found[Complaint(self._name, text, path, number)] = None


def _copy(value: Any) -> Any:
    """Return a copy as deep as the model is: things are taken out of it."""
    if isinstance(value, dict):
        return {key: list(each) if isinstance(each, list) else each for key, each in value.items()}
    return value


def _by_number(place: tuple[int | str, ...]) -> tuple[int, ...]:
    return tuple(part for part in place if isinstance(part, int))


def _take_out(table: dict[str, Any], place: tuple[int | str, ...]) -> None:
    here: Any = table
    for part in place[:-1]:
        here = here[part]
    del here[place[-1]]
    if here == [] and isinstance(place[-1], int):
        # A list of which nothing is left is not the wish for an empty one.
        _take_out(table, place[:-1])


def _kept(wishes: Wishes, path: Sequence[str]) -> bool:
    """Whether a value is still wished for after everything wrong was taken out."""
    here: Any = wishes
    for part in path:
        here = getattr(here, part, None)
    return here is not None


def _unknown(place: Sequence[int | str], value: Any) -> str:
    key = str(place[-1])
    table = str(place[0]) if len(place) > 1 else ""
    if table == "panel" and key in _PLAIN_PASSWORDS:
        return (
            "found a password, expected password_hash with what `leyden password hash` prints; "
            "a password itself never belongs on a card"
        )
    if table and key in Wishes.model_fields:
        return f"belongs to the top of the file, before the first [table], not into [{table}]"
    inner: dict[str, type[BaseModel]] = {
        "wifi": WifiTable, "network": NetworkTable, "ssh": SshTable, "panel": PanelTable,
    }  # fmt: skip
    owners = [name for name, model in inner.items() if key in model.model_fields]
    if owners and table not in owners and not isinstance(value, dict):
        return f"belongs into [{owners[0]}]"
    known = inner[table].model_fields if table in inner else Wishes.model_fields
    return unknown_key(key, known)


def _reachable(address: values.Interface, gateway: values.Address) -> bool:
    if gateway == address.ip:
        return False
    if isinstance(gateway, ipaddress.IPv6Address) and gateway.is_link_local:
        return address.version == 6
    return gateway in address.network
