"""`leyden log tail`: the newest events of a log, from its files alone."""

from __future__ import annotations

import datetime
import os
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from leyden.appliance.folders import Folders
from leyden.cli.parsing import Parser, add_data, add_json, data_dir
from leyden.cli.terminal import Paint
from leyden.eventlog.clocklog import Dated, WallMap, read_wall_map
from leyden.eventlog.reader import LogReader
from leyden.eventlog.values import portable
from leyden.kernel import BAD, GOOD, NS, Clock, Event, Gap, LeydenError, SystemClock, Value, iso
from leyden.units import UNITS

SUMMARY: Final = "read the event log"
_MARKS: Final = {"good": " ", "uncertain": "≈", "bad": "✕"}
_ROUTE_WIDTH: Final = 24
_VALUE_WIDTH: Final = 14


class NoLogError(LeydenError):
    """There is no log to read."""


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden log",
        SUMMARY,
        details="Reads the files, so it works whether or not anything runs.",
        examples=(
            "leyden log tail",
            "leyden log tail -n 100 --route air.",
            "leyden log tail --follow --json | jq .value",
        ),
    )
    actions = found.add_subparsers(metavar="tail", required=True, dest="action")
    tail = actions.add_parser(
        "tail",
        help="the newest events",
        summary="print the newest events, oldest first",
        details=(
            "A line is: wall time, sequence number, route, quality mark (≈ uncertain, ✕ bad),\n"
            "value, and why the value is less than good. A time with ~ comes from a clock that\n"
            "nobody had set yet."
        ),
        examples=(
            "leyden log tail",
            "leyden log tail -n 5 --route device.",
            "leyden log tail --follow --route air.temperature",
        ),
    )
    tail.add_argument("-n", type=_count, default=20, metavar="N", help="how many (default: 20)")
    tail.add_argument("--route", default="", metavar="PREFIX", help="only routes that begin so")
    tail.add_argument("--follow", action="store_true", help="go on as events are written")
    add_json(tail, "one JSON object a line")
    add_data(tail)
    return found


def run(args: Namespace) -> int:
    """Print events until the end, or with `--follow` until Ctrl-C.

    Raises:
        NoLogError: the data directory has no log.
    """
    folder = Folders(data_dir(args.data)).log
    reader = LogReader(folder)
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        raise NoLogError(f"this user may not read {folder}; ask its owner, or use sudo")
    if not args.follow and not reader.segments():
        raise NoLogError(f"there is no log in {folder}; name the data directory with --data")
    lines = _Lines(reader, as_json=args.json)
    for item in _items(reader, args.n, args.route, args.follow, SystemClock()):
        text = lines.line(item, args.route)
        if text:
            print(text, flush=args.follow)
    return 0


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f'found "{text}", expected a whole number from 0')
    return int(text)


def _items(
    reader: LogReader, count: int, prefix: str, follow: bool, clock: Clock
) -> Iterator[Event | Gap]:
    # Where to go on is asked first: what is written meanwhile is seen twice rather than never.
    after = reader.last()[1] if follow else 0
    newest = reader.tail(count, prefix) if count else []
    yield from newest
    if follow:
        seen = max(map(_last_number, newest), default=0)
        # Everything, not the wanted routes alone: the clock's records date what follows.
        for item in reader.follow(clock, after):
            if _last_number(item) > seen:
                yield item


def _last_number(item: Event | Gap) -> int:
    return item.last if isinstance(item, Gap) else item.n


class _Lines:
    """Turns events and gaps into lines, for people or for programs."""

    def __init__(self, reader: LogReader, *, as_json: bool) -> None:
        self._reader = reader
        self._as_json = as_json
        self._wall: WallMap = read_wall_map(reader)
        self._units: dict[str, str] | None = None
        self._paint = Paint(sys.stdout)

    def line(self, item: Event | Gap, prefix: str) -> str:
        """Return the line of an event or gap; nothing for an event on another route."""
        if isinstance(item, Gap):
            return self._gap(item)
        self._wall.add_event(item)
        if not item.route.startswith(prefix):
            return ""
        return self._json(item) if self._as_json else self._columns(item)

    def _date(self, event: Event) -> Dated | None:
        dated = self._wall.date(event.boot, event.mono)
        if dated is None:  # a boot that began after we did
            self._wall = read_wall_map(self._reader)
            dated = self._wall.date(event.boot, event.mono)
        return dated

    def _json(self, event: Event) -> str:
        dated = self._date(event)
        row: dict[str, Any] = {"n": event.n, "time": iso(dated.wall) if dated else None}
        if dated is None or not dated.trusted:
            row["time_trusted"] = False
        row |= {"route": event.route, "value": portable(event.value)}
        row["quality"] = event.quality.word
        for name in ("reason", "detail", "source", "cause", "trace"):
            if given := getattr(event, name):
                row[name] = given
        row |= {"boot": event.boot, "mono": event.mono}
        return msgspec.json.encode(row).decode()

    def _columns(self, event: Event) -> str:
        style = "" if event.quality is GOOD else "bad" if event.quality is BAD else "uncertain"
        mark = self._paint(style, _MARKS[event.quality.word])
        symbol = self._symbol(event.route) if event.value is not None else ""
        value = f"{_shown(event.value)} {symbol}".rstrip()
        why = event.detail or event.reason
        head = f"{self._when(event)} {event.n:>9}  {event.route:<{_ROUTE_WIDTH}} {mark}"
        return f"{head} {value:<{_VALUE_WIDTH}} {self._paint(style, why)}".rstrip()

    def _gap(self, gap: Gap) -> str:
        if self._as_json:
            row = {"gap": {"first": gap.first, "last": gap.last, "reason": gap.reason}}
            return msgspec.json.encode(row).decode()
        count = gap.last - gap.first + 1
        numbers = f"{gap.first} to {gap.last}" if count > 1 else f"{gap.first}"
        missing = "events are" if count > 1 else "event is"
        return self._paint("bad", f"… {count} {missing} missing ({numbers}): {gap.reason}")

    def _when(self, event: Event) -> str:
        dated = self._date(event)
        if dated is None:
            return self._paint("soft", f"{'no date':<24}")
        moment = datetime.datetime.fromtimestamp(dated.wall // NS, datetime.UTC).astimezone()
        mark = " " if dated.trusted else "~"
        text = f"{mark}{moment:%Y-%m-%d %H:%M:%S}.{dated.wall % NS // 1_000_000:03d}"
        return self._paint("soft", text)

    def _symbol(self, route: str) -> str:
        if self._units is None or route not in self._units:
            self._units = _units(self._reader)
        code = self._units.setdefault(route, "")
        return UNITS[code].symbol if code in UNITS else code


def _units(reader: LogReader) -> dict[str, str]:
    """Return the unit of each route, as the newest heads tell it."""
    found: dict[str, str] = {}
    for _, head in reader.heads():
        for row in head.routes if head is not None else ():
            found[str(row.get("key", ""))] = str(row.get("unit", ""))
    return found


def _shown(value: Value) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_shown(item)}" for key, item in value.items())
    return msgspec.json.encode(portable(value)).decode()
