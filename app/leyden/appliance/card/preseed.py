"""The preseed: what a card's owner wrote in `leyden.toml` for the first boot, and its mistakes.

A field that is wrong is left out and said, with its line; the rest counts. Nothing here stops.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo

from leyden.appliance.card import values
from leyden.appliance.card.statements import Document, Kind, Statement, key_of, read
from leyden.appliance.card.text_file import TextFile, UnreadableError, decode
from leyden.appliance.words import sentence, shown, unknown_key
from leyden.panel.passwords import PasswordError, check_hash

LONGEST: Final = 256 * 1024  # bytes; a whole appliance fits in many times over
_MOST_KEYS: Final = 64  # public keys
_MOST_WORDS: Final = 24  # complaints that are told; more would only bury them
_ZONES: Final = "zones"

# The tables of an appliance's configuration, which may stand in the same file.
APPLIANCE_TABLES: Final = ("appliance", "bus", "device", "route", "log", "world")
# What may be shown and may stay on the boot partition. Any other key of these two tables may hold
# a secret, the misspelt ones included.
PUBLIC: Final = {
    "wifi": ("ssid", "country", "hidden", "open", "enabled", "access_point"),
    "panel": ("hosts",),
}
# In any other place only the name can tell.
_SECRET_NAMES: Final = re.compile("pass|psk|secret|hash", re.IGNORECASE)
_PRIVATE_KEY: Final = "PRIVATE KEY"
_PLAIN_PASSWORDS: Final = ("password", "passwd", "pass")


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


def _zone(value: Any, info: ValidationInfo) -> str:
    return values.timezone(value, info.context[_ZONES])  # type: ignore[index]  # always given


def _hash(value: Any) -> str:
    def check(text: str) -> None:
        try:
            check_hash(text)
        except PasswordError as error:
            raise ValueError(str(error)) from None

    return values.password_hash(value, check)


class Table(BaseModel):
    """A table that refuses keys it does not know; what is not written is None."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class WifiTable(Table):
    """`[wifi]`: the network to join."""

    enabled: bool | None = None
    ssid: Annotated[str | None, BeforeValidator(values.ssid)] = None
    password: Annotated[str | None, BeforeValidator(values.passphrase)] = None
    psk: Annotated[str | None, BeforeValidator(values.psk)] = None
    country: Annotated[str | None, BeforeValidator(values.country)] = None
    hidden: bool | None = None
    open: bool | None = None
    access_point: bool | None = None
    access_point_password: Annotated[str | None, BeforeValidator(values.passphrase)] = None


class NetworkTable(Table):
    """`[network]`: a fixed address."""

    dhcp: bool | None = None
    interface: Literal["wired", "wifi"] | None = None
    address: Annotated[Any, BeforeValidator(values.interface_address)] = None
    gateway: Annotated[Any, BeforeValidator(values.address)] = None
    dns: list[Annotated[Any, BeforeValidator(values.address)]] | None = None


class SshTable(Table):
    """`[ssh]`: who may log in; without a key nobody."""

    authorized_keys: list[Annotated[str, BeforeValidator(values.public_key)]] | None = None


class PanelTable(Table):
    """`[panel]`: how to get in without claiming."""

    password_hash: Annotated[str | None, BeforeValidator(_hash)] = None


class Wishes(Table):
    """Everything that a preseed can say about the system."""

    hostname: Annotated[str | None, BeforeValidator(values.hostname)] = None
    timezone: Annotated[str | None, BeforeValidator(_zone)] = None
    appliance_file: Annotated[str | None, BeforeValidator(values.file_name)] = None
    wifi: WifiTable = WifiTable()
    network: NetworkTable = NetworkTable()
    ssh: SshTable = SshTable()
    panel: PanelTable = PanelTable()


@dataclass(frozen=True, slots=True)
class Preseed:
    """What a preseed says, after everything wrong was taken out."""

    wishes: Wishes
    complaints: tuple[Complaint, ...] = ()
    appliance: str = ""  # an appliance's configuration that stands in the file, as it was written
    file: TextFile | None = None
    document: Document | None = None
    secrets: tuple[Statement, ...] = ()  # statements that may hold one

    @property
    def empty(self) -> bool:
        """Whether nothing is wished for."""
        return self.wishes == Wishes() and not self.appliance


def read_preseed(data: bytes, *, name: str, zones: Path) -> Preseed:
    """Return what a preseed says; it never fails.

    Args:
        data: the file.
        name: how complaints call it.
        zones: the folder of the time zones there are.
    """
    if len(data) > LONGEST:
        words = f"has {len(data)} bytes, expected at most {LONGEST}; nothing in it was taken over"
        return Preseed(Wishes(), (Complaint(name, words),))
    try:
        file = decode(data)
    except UnreadableError as error:
        return Preseed(Wishes(), (Complaint(name, f"{error}; nothing in it was taken over"),))
    document = read(file.text)
    judge = _Judge(name, document, zones)
    judge.name_broken(file.lines)
    own = {key: each for key, each in document.table.items() if key not in APPLIANCE_TABLES}
    wishes = judge.judged(own, inline=len(own) < len(document.table))
    appliance = _appliance_text(file, document)
    secrets = tuple(_secret_ones(file, document))
    judge.name_lost(secrets, wishes)
    return Preseed(wishes, judge.complaints, appliance, file, document, secrets)


def judge_wishes(table: Mapping[str, Any], *, name: str, zones: Path) -> Preseed:
    """Return what a table says that was not read from TOML, judged the same way."""
    judge = _Judge(name, Document({}, (), whole=True), zones)
    wishes = judge.judged(table, inline=False)
    return Preseed(wishes, judge.complaints)


class _Judge:
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
            if each.problem and not _of_appliance(each):
                key = key_of(lines[each.first - 1])
                path = (*each.table, key) if key else ()
                self._add(path, f"{each.problem}; left out", each.first)

    def name_lost(self, secrets: Sequence[Statement], wishes: Wishes) -> None:
        """Say which secrets nobody has, since they were left out and are wiped all the same."""
        lost = [each for each in secrets if not any(_kept(wishes, path) for path in each.paths)]
        if lost:
            lines = ", ".join(str(each.first) for each in lost)
            words = (
                f"what may be a password in line {lines} was left out, and is wiped all the same"
            )
            self._add((), f"{words}; write it again when you correct the file", lost[0].first)

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
                wishes = Wishes.model_validate(left, strict=True, context={_ZONES: self._zones})
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
        elif _hosts_line(self._document) is None:
            words = "stands on one line with other keys, expected one of its own"
            self._add(("panel", "hosts"), f"{words}; left out")

    def _words(self, error: Any) -> str:
        place, kind = error["loc"], error["type"]
        if kind == "extra_forbidden":
            return _unknown(place, error["input"])
        if kind == "value_error":
            return sentence(error)
        if place[0] == "ssh" or not _is_public(place):
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


def _appliance_text(file: TextFile, document: Document) -> str:
    """Return the appliance's configuration alone, on the same lines as in the file."""
    if not any(key in document.table for key in APPLIANCE_TABLES):
        return ""
    lines = file.lines
    hosts = _hosts_line(document)
    for each in document.statements:
        panel = hosts is not None and each.kind is Kind.TABLE and each.table == ("panel",)
        if not (_of_appliance(each) or panel or each is hosts):
            lines[each.first - 1 : each.last] = ["\n"] * (each.last - each.first + 1)
    return "".join(lines).replace("\r\n", "\n").replace("\r", "\n")


def _kept(wishes: Wishes, path: Sequence[str]) -> bool:
    """Whether a value is still wished for after everything wrong was taken out."""
    here: Any = wishes
    for part in path:
        here = getattr(here, part, None)
    return here is not None


def _hosts_line(document: Document) -> Statement | None:
    """Return the statement that sets the panel's further names and nothing else."""
    wanted = (("panel", "hosts"),)
    return next((each for each in document.statements if each.paths == wanted), None)


def _of_appliance(statement: Statement) -> bool:
    tops = {path[0] for path in statement.paths} or set(statement.table[:1])
    return bool(tops) and tops <= set(APPLIANCE_TABLES)


def _secret_ones(file: TextFile, document: Document) -> Iterator[Statement]:
    """Yield the statements that hold a secret, or may do so by mistake."""
    lines = file.lines
    for each in document.statements:
        if each.kind in (Kind.BLANK, Kind.TABLE):
            continue
        text = lines[each.first - 1 : each.last]
        paths = each.paths or ((*each.table, key_of(text[0])),)
        private = any(_PRIVATE_KEY in line for line in text)
        if private or not all(_is_public(path) for path in paths):
            yield each


def _is_public(path: Sequence[int | str]) -> bool:
    table, key = str(path[0]), str(path[-1])
    if table in PUBLIC and len(path) > 1:
        return path[1] in PUBLIC[table] or path[1] in Wishes.model_fields
    return table in APPLIANCE_TABLES or not _SECRET_NAMES.search(key)


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


_EXPECTED: Final = {"bool_type": "true or false, without quotes", "list_type": "a list"}


def _reachable(address: values.Interface, gateway: values.Address) -> bool:
    if gateway == address.ip:
        return False
    if isinstance(gateway, ipaddress.IPv6Address) and gateway.is_link_local:
        return address.version == 6
    return gateway in address.network
