"""`leyden update`: install an update, see what became of it, commit by hand."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Final

import msgspec

from leyden.appliance import mark_good
from leyden.appliance.update import gate, trial
from leyden.appliance.update.card import Card
from leyden.appliance.update.errors import NotNowError, RefusedError, UpdateError
from leyden.appliance.update.gate import Vitals
from leyden.appliance.update.history import FILE, read_history
from leyden.appliance.update.install import Installation, Outcome
from leyden.appliance.update.ledger import opened
from leyden.appliance.update.rauc import Installer, Rauc
from leyden.appliance.update.slots import Entry
from leyden.appliance.update.status import SlotStatus, look_at_slots
from leyden.appliance.update.vitals import CardVitals
from leyden.cli.command import EXIT_FAILED
from leyden.cli.parsing import Parser, add_json
from leyden.cli.terminal import Paint, Progress, columns
from leyden.kernel import SystemClock
from leyden.link.client import SlotRow

SUMMARY: Final = "install updates, and see what became of them"
EXIT_REFUSED: Final = 3
EXIT_NOT_NOW: Final = 4
_BAR: Final = 30  # characters
_STYLES: Final = {
    "running": "good", "good": "good", "trying": "uncertain", "staged": "uncertain", "bad": "bad",
    "committed": "good", "healthy": "good", "failed": "bad", "rolled-back": "bad", "refused": "bad",
    "recovered": "uncertain",
}  # fmt: skip


def parser() -> Parser:
    """Return the command's arguments."""
    found = Parser(
        "leyden update",
        SUMMARY,
        details=(
            "The card has two slots. An update is written to the one that does not run, tried at\n"
            "the next start, and committed after two healthy starts; otherwise the machine goes\n"
            "back by itself and says why. exit codes: 0 done, 1 failed, 2 wrong arguments,\n"
            "3 the update is refused, 4 not now."
        ),
        examples=(
            "leyden update install leyden-0.2.0-arm64.raucb",
            "leyden update install https://example.com/leyden-0.2.0-arm64.raucb --reboot",
            "leyden update status",
            "leyden update history --json",
        ),
    )
    actions = found.add_subparsers(
        metavar="install | status | history | mark-good", required=True, dest="action"
    )
    install = actions.add_parser(
        "install",
        help="write an update to the slot that does not run",
        summary="check an update and write it to the slot that does not run",
        details=(
            "Looks at signature, board, version and size first. A power cut at any moment leaves\n"
            "a machine that starts the slot it runs from now."
        ),
        examples=(
            "leyden update install leyden-0.2.0-arm64.raucb --dry-run",
            "leyden update install /mnt/stick/leyden-0.2.0-arm64.raucb --reboot",
        ),
    )
    install.add_argument("source", metavar="BUNDLE", help="a bundle, or its address (http, https)")
    install.add_argument("--dry-run", action="store_true", help="only say whether it could be")
    install.add_argument("--force", action="store_true", help="also a release older than this one")
    install.add_argument("--reboot", action="store_true", help="restart the machine afterwards")
    install.set_defaults(carry_out=_install)
    status = actions.add_parser(
        "status",
        help="both slots, and what waits",
        summary="show both slots, which one starts next, and what waits",
        examples=("leyden update status", "leyden update status --json"),
    )
    status.set_defaults(carry_out=_status)
    history = actions.add_parser(
        "history",
        help="what became of every update, and why",
        summary="show what became of every update, and why, oldest first",
        examples=("leyden update history", "leyden update history --json | jq .reason"),
    )
    history.set_defaults(carry_out=_history)
    good = actions.add_parser(
        "mark-good",
        help="commit the running slot by hand",
        summary="commit the running slot now, when it is healthy, without a second start",
        details="The appliance does this by itself after two healthy starts.",
        examples=("leyden update mark-good", "leyden update mark-good --force"),
    )
    good.add_argument("--force", action="store_true", help="do not look whether it is healthy")
    good.set_defaults(carry_out=_mark_good)
    for each in (install, status, history, good):
        add_json(each)
    return found


def run(args: Namespace) -> int:
    """Carry out the action on the card that this machine runs from; return the exit code."""
    try:
        code: int = args.carry_out(args)
    except UpdateError as error:
        return _complain(error, as_json=args.json)
    return code


def this_card() -> Card:
    """Return the card that this machine runs from."""
    return Card()


def installer() -> Installer:
    """Return what checks and writes bundles."""
    return Rauc()


def vitals(card: Card) -> Vitals:
    """Return how the appliance is."""
    return CardVitals(card)


# Actions


def _install(args: Namespace) -> int:
    card, progress = this_card(), _Bar(quiet=args.json)
    with opened(card, SystemClock(), _keep_quiet) as ledger:
        installation = Installation(ledger, installer(), vitals(card), progress.step)
        try:
            outcome = installation.run(args.source, dry=args.dry_run, force=args.force)
        finally:
            progress.over()
    if args.json:
        print(msgspec.json.encode(outcome).decode())
    else:
        print(_sentence(outcome, ledger.running))
    if args.reboot and not args.dry_run:
        mark_good.restart()
    return 0


def _sentence(outcome: Outcome, running: str) -> str:
    if outcome.outcome == "would-install":
        return (
            f"{outcome.version} can be installed: slot {outcome.slot} would hold it, "
            f"{outcome.from_version} stays in slot {running}; nothing was changed"
        )
    return (
        f"{outcome.version} is installed in slot {outcome.slot} and is tried at the next start: "
        f"systemctl reboot\nIt is committed after two healthy starts; otherwise the machine goes "
        f"back to {outcome.from_version} in slot {running} by itself."
    )


def _status(args: Namespace) -> int:
    card = this_card()
    release, status = card.release(), look_at_slots(card)
    if args.json:
        print(msgspec.json.encode({"release": release, **msgspec.to_builtins(status)}).decode())
        return 0
    print(columns(_slot_rows(status), indent=""))
    print(f"committed: slot {status.committed}; running: slot {status.running}")
    if status.staged is not None:
        words = next(row.detail for row in status.slots if row.name == status.staged.slot)
        print(f"update: {words}")
    return 0


def _slot_rows(status: SlotStatus) -> Iterator[tuple[str, ...]]:
    paint = Paint(sys.stdout)
    yield tuple(paint("soft", word) for word in ("slot", "state", "version", "starts", "notes"))
    for row in status.slots:
        state = paint(_STYLES.get(row.state, ""), row.state)
        yield row.name, state, row.version or "-", str(row.tries_left), _notes(row)


def _notes(row: SlotRow) -> str:
    return "; ".join(filter(None, ("starts next" if row.boot else "", row.detail)))


def _history(args: Namespace) -> int:
    card = this_card()
    card.release()  # says so on a machine that has no slots
    entries = read_history(card.updates / FILE)
    if args.json:
        for entry in entries:
            print(msgspec.json.encode(entry).decode())
        return 0
    if not entries:
        print("no update was ever installed here")
        return 0
    print(columns(map(_entry_row, entries), indent=""))
    return 0


def _entry_row(entry: Entry) -> tuple[str, ...]:
    paint = Paint(sys.stdout)
    mark = " " if entry.clock == "synced" else "~"  # nobody had set that clock yet
    what = paint(_STYLES.get(entry.what, ""), entry.what)
    why = "; ".join(filter(None, (entry.reason, entry.detail)))
    return paint("soft", mark + entry.time[:19]), what, entry.slot, entry.version or "-", why


def _mark_good(args: Namespace) -> int:
    card, clock = this_card(), SystemClock()
    with opened(card, clock, _keep_quiet) as ledger:
        pending, running = ledger.record.trial, ledger.running
        if ledger.record.committed == running:
            return _said(args, f"slot {running} is committed already")
        if not args.force:
            verdict = gate.wait(vitals(card), pending.before if pending else None, clock)
            if not verdict.healthy:
                raise UpdateError(verdict.code, f"slot {running} is not healthy: {verdict.reason}")
        trial.commit(ledger, "by hand" + (", unseen" if args.force else ""))
    return _said(args, f"slot {running} is committed")


def _said(args: Namespace, words: str) -> int:
    print(msgspec.json.encode({"outcome": words}).decode() if args.json else words)
    return 0


def _complain(error: UpdateError, *, as_json: bool) -> int:
    word, code = "failed", EXIT_FAILED
    if isinstance(error, RefusedError):
        word, code = "refused", EXIT_REFUSED
    elif isinstance(error, NotNowError):
        word, code = "not-now", EXIT_NOT_NOW
    if as_json:
        row = {"outcome": word, "code": error.code, "reason": error.words}
        print(msgspec.json.encode(row).decode())
    else:
        print(f"leyden update: {word} ({error.code}): {error.words}", file=sys.stderr)
    return code


def _keep_quiet(_: str) -> None:
    """Say nothing: the outcome says it."""


class _Bar:
    """What is under way: a line that is redrawn on a terminal, a few plain ones elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._progress = Progress()
        self._on_terminal = sys.stderr.isatty()
        self._said = ""

    def step(self, what: str, done: float | None) -> None:
        """Show what is under way, and how much of it is done, 0 … 1, where that is known."""
        words = self._words(what, done)
        if self._quiet or words == self._said:
            return
        self._said = words
        if self._on_terminal:
            self._progress.say(words)
        else:
            print(words, file=sys.stderr, flush=True)

    def over(self) -> None:
        """Take the line away."""
        self._progress.clear()

    def _words(self, what: str, done: float | None) -> str:
        if done is None:
            return what
        if self._on_terminal:
            return f"{what}  {_bar(done)}"
        return f"{what}: {int(done * 4) * 25} %"  # a file does not need each percent


def _bar(done: float) -> str:
    full = round(done * _BAR)
    return f"{'█' * full}{'░' * (_BAR - full)} {done:4.0%}"
