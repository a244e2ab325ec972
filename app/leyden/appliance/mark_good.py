"""The service that judges a start of the card: `python -m leyden.appliance.mark_good`.

It runs once a start, as root. On an update's first healthy start it restarts the machine, on its
second it commits the update; an update that is not healthy within three minutes is given up. It
ends with 0 where the start is healthy or a restart is under way, with 1 where the committed slot is
not healthy: that is reported, and nothing is restarted for it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Final

from leyden.appliance.update import gate, trial
from leyden.appliance.update.card import Card
from leyden.appliance.update.errors import NoCardError, UpdateError
from leyden.appliance.update.gate import Vitals
from leyden.appliance.update.ledger import Ledger, opened
from leyden.appliance.update.trial import After, Meaning
from leyden.appliance.update.vitals import CardVitals
from leyden.kernel import Clock, SystemClock

EXIT_UNHEALTHY: Final = 1
EXIT_NO_CARD: Final = 2
EXIT_BROKEN: Final = 3
_RESTARTS: Final = (("systemctl", "reboot"), ("systemctl", "reboot", "--force"))


def main() -> int:
    """Judge this start of the machine; return the exit code."""
    card, clock = Card(), SystemClock()
    try:
        with opened(card, clock, say) as ledger:
            return judge_start(ledger, CardVitals(card), clock, restart)
    except NoCardError as error:
        say(error.words)
        return EXIT_NO_CARD
    except UpdateError as error:
        say(error.words)
        return EXIT_BROKEN


def judge_start(ledger: Ledger, vitals: Vitals, clock: Clock, restart: Callable[[], None]) -> int:
    """Write down what this start is, wait until its health is known, and act on it.

    Args:
        ledger: record, history and boot variables of the card.
        vitals: how the appliance is.
        clock: for the three minutes.
        restart: restarts the machine.

    Raises:
        UpdateError: the card refused.
    """
    found = trial.begin(ledger)
    pending = ledger.record.trial
    before = pending.before if pending and found is Meaning.TRIAL else None
    verdict = gate.wait(vitals, before, clock)
    after = trial.end(ledger, found, verdict)
    ledger.tell()
    if after is After.RESTART:
        restart()
    return EXIT_UNHEALTHY if after is After.REPORT else 0


def restart() -> None:
    """Ask systemd to restart the machine; by force if it will not."""
    for command in _RESTARTS:
        try:
            subprocess.run(command, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            say(f"{' '.join(command)}: {error}")
        else:
            return


def say(text: str) -> None:
    """Leave a sentence in the system's journal."""
    sys.stderr.write(f"mark-good: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
