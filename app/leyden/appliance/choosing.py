"""Chooses which plan an appliance runs: its configuration, else what ran last, else the default.

A broken configuration never stops an appliance. It goes on with the next best plan, and says which
one, why, and what is wrong, line by line: in the event `runtime.configuration` and on the console.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from leyden.appliance.attempts import MOST, Attempts
from leyden.appliance.judge import Verdict
from leyden.appliance.plan import Plan
from leyden.appliance.plan_cache import PlanCache, key_of

ROUTE: Final = "runtime.configuration"
DEFAULT: Final = Path("/usr/share/leyden/appliance.toml")
_LONGEST: Final = (1 << 20) + 1  # bytes; the judge refuses what is longer than 1 MiB
_SHOWN: Final = 20  # problems that are told; more would only say the same again

Judge = Callable[[Path], Verdict]


class Source(StrEnum):
    """Where the plan that runs comes from, best first."""

    CONFIGURATION = "good"
    LAST = "last-good"  # the one that ran before the configuration was broken
    DEFAULT = "default"  # the one that comes with the program
    NOTHING = "nothing"  # no device at all, so that at least the panel can say why


class Choice(msgspec.Struct, frozen=True):
    """A plan that may be run, and where it comes from."""

    plan: Plan
    source: Source
    file: str
    key: str


class Configured(msgspec.Struct, frozen=True):
    """What runs and why: the value of `runtime.configuration`."""

    state: Source
    problem: str  # in words; empty when nothing is wrong
    file: str  # empty when nothing runs
    name: str  # of the appliance
    problems: tuple[str, ...] = ()  # what was wrong with what does not run, line by line


_WORDS: Final = {
    Source.LAST: "the plan that ran before is used instead",
    Source.DEFAULT: "the default configuration is used instead",
    Source.NOTHING: "nothing is left to run, so no device is used",
}


class Chooser:
    """Offers one plan after the other, best first, until one can be put together.

    Args:
        config: the configuration; a file that need not be there yet.
        default: the configuration that comes with the program.
        cache: plans of earlier starts.
        attempts: which plans have killed the runtime.
        judge: reads and judges a file.
        code: names the version of the program that judges.
    """

    def __init__(
        self,
        config: Path,
        default: Path,
        cache: PlanCache,
        attempts: Attempts,
        judge: Judge,
        code: str,
    ) -> None:
        self.problems: list[str] = []
        self._config = config
        self._default = default
        self._cache = cache
        self._attempts = attempts
        self._judge = judge
        self._code = code

    def choices(self) -> Iterator[Choice]:
        """Yield what may run; asked for another one, it takes the last as refused."""
        for choice in self._candidates():
            if self._attempts.spent(choice.key):
                self.problems.append(
                    f"{choice.file}: was started {MOST} times in a row, and each time the runtime "
                    "ended before it was up; it is tried again after the next start of the machine"
                )
                continue
            yield choice
        yield Choice(Plan("leyden", "Leyden"), Source.NOTHING, "", "")

    def refuse(self, choice: Choice, why: str) -> None:
        """Note why a plan could not be put together."""
        self.problems += [f"{choice.file}: {line}" for line in why.splitlines()]

    def came_up(self, choice: Choice) -> None:
        """Note that a plan runs."""
        self._attempts.over(choice.key)
        if choice.source is Source.CONFIGURATION:
            self._cache.keep_ran(choice.key, Path(choice.file), choice.plan)

    def told(self, choice: Choice) -> Configured:
        """Return what is to be told of the plan that runs."""
        problem = self.words(choice) if self.problems else ""
        return Configured(
            choice.source, problem, choice.file, choice.plan.name, self._first_problems()
        )

    def words(self, choice: Choice) -> str:
        """Return the same as one sentence after the other, also where nothing is wrong."""
        if self.problems:
            instead = _WORDS.get(choice.source, f"{choice.file} is used")
            return "; ".join([*self._first_problems(), instead])
        if choice.source is Source.CONFIGURATION:
            return f"{choice.file} is used"
        return f"there is no {self._config} yet; the default configuration is used"

    def _first_problems(self) -> tuple[str, ...]:
        more = len(self.problems) - _SHOWN
        return (*self.problems[:_SHOWN], *([f"… and {more} more"] if more > 0 else []))

    def _candidates(self) -> Iterator[Choice]:
        first = self._judged(self._config, Source.CONFIGURATION)
        if first is not None:
            yield first
        last = self._cache.ran() if self.problems else None
        if last is not None and (first is None or last.key != first.key):
            yield Choice(last.plan, Source.LAST, last.file, last.key)
        default = self._judged(self._default, Source.DEFAULT)
        if default is not None:
            yield default

    def _judged(self, file: Path, source: Source) -> Choice | None:
        content = self._content(file, source)
        if content is None:
            return None
        key = key_of(file, content, self._code)
        plan = self._cache.judged(key) or self._judge_now(file, key)
        return None if plan is None else Choice(plan, source, str(file), key)

    def _content(self, file: Path, source: Source) -> bytes | None:
        try:
            if file.exists() and not file.is_file():  # a pipe would be waited for, for ever
                self.problems.append(f"{file}: is no file")
                return None
            with file.open("rb") as opened:
                return opened.read(_LONGEST)
        except FileNotFoundError:
            if source is not Source.CONFIGURATION:
                self.problems.append(f"{file}: is missing")
        except OSError as error:
            self.problems.append(f"{file}: cannot be read: {error.strerror or error}")
        return None

    def _judge_now(self, file: Path, key: str) -> Plan | None:
        verdict = self._judge(file)
        self.problems += verdict.problems
        if verdict.plan is not None:
            self._cache.keep_judged(key, file, verdict.plan)
        return verdict.plan
