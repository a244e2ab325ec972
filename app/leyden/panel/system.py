"""The system page's answer: the machine as an appliance, and what of it people have to know.

What the runtime tells of release, slots and updates is passed on; the panel adds what it knows
itself, and picks the few sentences that are to stand on every page until somebody has taken note.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from leyden.link.client import (
    LatestRow,
    LinkClient,
    LinkRefusal,
    NoteRow,
    StagedRow,
    SystemAnswer,
    UpdateRow,
)
from leyden.panel.auth import fingerprint
from leyden.panel.passwords import Passwords
from leyden.panel.tls import Certificates
from leyden.storage.atomic import write_atomic

CONFIGURATION: Final = "runtime.configuration"  # the event that says which configuration runs
GOOD: Final = "good"
_FILE: Final = "acknowledged.json"
_KEPT: Final = 64
_ID: Final = 16  # hex digits; tells notices apart, proves nothing
_LEVELS: Final = ("error", "warning", "info")
_INSTEAD: Final = {
    "last-good": "The appliance runs on the one before.",
    "default": "The appliance runs on the one it came with.",
    "nothing": "No device is used.",
}
_TRIALS: Final = {
    "intent": "Version {version} is being written to slot {slot}.",
    "written": "Version {version} is in slot {slot} and will be tried at the next start.",
    "verified": "Version {version} is in slot {slot} and will be tried at the next start.",
    "tried": "Version {version} is on trial in slot {slot}; if it fails, the former one returns.",
    "healthy": "Version {version} is on trial in slot {slot}; one more healthy start and it stays.",
}

_log = logging.getLogger("leyden.panel")


class ConfigurationRow(msgspec.Struct, frozen=True):
    """Which configuration the runtime runs on, where that is not the one it was given."""

    state: str  # last-good | default | nothing
    problems: tuple[str, ...]  # what is wrong with the one it was given, in words


class PanelRow(msgspec.Struct, frozen=True):
    """What the panel knows of itself."""

    encrypted: bool  # the connection by which this was asked for
    problem: str  # why the panel does not encrypt although it is to; "" if it does
    authority: str | None  # SHA-256 of the certificate authority that /leyden-ca.crt is of
    password: bool  # there is one to sign in with


class NoticeRow(msgspec.Struct, frozen=True):
    """A sentence for every page."""

    id: str
    level: str  # error | warning | info
    text: str
    lasting: bool  # it goes with its cause; else once somebody has acknowledged it


class SystemInfo(SystemAnswer, frozen=True):
    """The machine as an appliance, with what the panel knows and what everybody should."""

    configuration: ConfigurationRow | None = None
    panel: PanelRow | None = None
    notices: tuple[NoticeRow, ...] = ()  # worst first


class Acknowledged:
    """Which notices somebody has taken note of, kept in the auth directory.

    On a disk that takes nothing they are kept in memory only.
    """

    def __init__(self, auth_dir: Path) -> None:
        self._path = auth_dir / _FILE
        self._lock = threading.Lock()
        self._ids = self._load()

    def __contains__(self, notice: str) -> bool:
        return notice in self._ids

    def add(self, notice: str) -> None:
        """Note that somebody has taken note."""
        with self._lock:
            if notice in self._ids:
                return
            self._ids = [*self._ids, notice][-_KEPT:]
            try:
                write_atomic(self._path, msgspec.json.encode(self._ids), private=True)
            except OSError as error:
                _log.warning("not kept over a restart: %s: %s", self._path, error.strerror)

    def _load(self) -> list[str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[str])
        except (OSError, msgspec.MsgspecError):
            return []  # then notices are shown once more


class System:
    """Puts the answer together.

    Args:
        link: reaches the runtime.
        certificates: what the panel encrypts with.
        passwords: the password.
        acknowledged: what needs not be said on every page any more.
    """

    def __init__(
        self,
        link: LinkClient,
        certificates: Certificates,
        passwords: Passwords,
        acknowledged: Acknowledged,
    ) -> None:
        self._link = link
        self._certificates = certificates
        self._passwords = passwords
        self._acknowledged = acknowledged

    def info(self, *, encrypted: bool) -> SystemInfo:
        """Return the answer to somebody whose connection is encrypted or not.

        Raises:
            LinkDownError: no runtime answers.
            LinkRefusal: it does not know the question.
        """
        answer = self._link.system()
        configuration = self._configuration()
        panel = self._panel(encrypted)
        notices = [
            *_of_configuration(configuration),
            *_of_connection(panel, wanted=self._certificates.wanted),
            *_of_updates(answer),
            *_of_boot(answer.notes, self._link.hello().boot),
        ]
        told = [each for each in notices if each.lasting or each.id not in self._acknowledged]
        return SystemInfo(
            **msgspec.structs.asdict(answer),
            configuration=configuration,
            panel=panel,
            notices=tuple(sorted(told, key=lambda each: _LEVELS.index(each.level))),
        )

    def acknowledge(self, notice: str) -> None:
        """Note that somebody has taken note."""
        self._acknowledged.add(notice)

    def _configuration(self) -> ConfigurationRow | None:
        try:
            return _read_configuration(self._link.latest(CONFIGURATION))
        except LinkRefusal:
            return None  # a runtime that has nothing to say of it

    def _panel(self, encrypted: bool) -> PanelRow:
        authority = self._certificates.authority()
        return PanelRow(
            encrypted,
            self._certificates.problem(),
            authority.fingerprint if authority else None,
            self._passwords.exist(),
        )


def _read_configuration(row: LatestRow) -> ConfigurationRow | None:
    value: Any = row.value if isinstance(row.value, dict) else {"problem": row.value}
    state, problem = value.get("state", "default"), value.get("problem")
    if not row.n or state == GOOD or not problem:
        return None  # also where there is no configuration yet: nothing is wrong with that
    problems = value.get("problems") or (problem,)
    return ConfigurationRow(str(state), tuple(map(str, problems)))


def _of_configuration(configuration: ConfigurationRow | None) -> Iterator[NoticeRow]:
    if configuration is None:
        return
    first, *others = configuration.problems
    more = f", and {len(others)} more" if others else ""
    instead = _INSTEAD.get(configuration.state, "")
    text = f"The configuration cannot be used: {first.rstrip('.')}{more}. {instead}".strip()
    yield NoticeRow("configuration", "error", text, lasting=True)


def _of_connection(panel: PanelRow, *, wanted: bool) -> Iterator[NoticeRow]:
    if wanted and not panel.encrypted:
        yield NoticeRow("connection", "warning", unencrypted(panel.problem), lasting=True)


def unencrypted(problem: str) -> str:
    """Return what people have to know of a connection that should be encrypted and is not."""
    why = f" ({problem})" if problem else ""
    return f"This connection is not encrypted{why}: whoever is on this network can read along."


def _of_updates(answer: SystemAnswer) -> Iterator[NoticeRow]:
    if answer.staged is not None:
        yield _trial(answer.staged)
    for row in answer.history:
        if row.what == "committed":
            return  # whatever was before it has been overcome
        if row.what in {"rolled-back", "recovered"}:
            yield _rollback(row)
            return


def _trial(staged: StagedRow) -> NoticeRow:
    words = _TRIALS.get(staged.state, "Version {version} is in slot {slot}.")
    text = words.format(version=staged.version, slot=staged.slot)
    return NoticeRow("trial", "info", text, lasting=True)


def _rollback(row: UpdateRow) -> NoticeRow:
    reason = row.reason or row.detail or "no reason was written down"
    runs = f" Version {row.from_version} runs again." if row.from_version else ""
    text = f"Version {row.version or '?'} was given up: {reason.rstrip('.')}.{runs}"
    return NoticeRow(
        _id_of(row.time, row.slot, row.version, reason), "warning", text, lasting=False
    )


def _of_boot(notes: tuple[NoteRow, ...], boot: int) -> Iterator[NoticeRow]:
    for note in notes:
        if note.level == "error":
            yield NoticeRow(_id_of(boot, note.what, note.text), "error", note.text, lasting=False)


def _id_of(*parts: object) -> str:
    return fingerprint("\0".join(map(str, parts)))[:_ID]
