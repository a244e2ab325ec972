"""Curves: how a quantity of the modelled world goes on over time.

A curve is a pure function of the seconds since the world began and of a seed, so two runs are
alike, however often and by whomever it is asked.
"""

from __future__ import annotations

import bisect
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, TypeAlias

HALF_NS: Final = 0.5e-9  # seconds

Scalar: TypeAlias = float | bool | str
Evaluator: TypeAlias = Callable[[float], Scalar]  # seconds since the world began -> value


class Curve(Protocol):
    """A course over time."""

    kind: ClassVar[str]

    def begin(self, seed: int) -> Evaluator:
        """Return the function that gives the value at each moment."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value all the time."""

    kind: ClassVar[str] = "constant"
    value: Scalar

    def begin(self, seed: int) -> Evaluator:
        """Return a function that ignores time."""
        return lambda _: self.value


@dataclass(frozen=True, slots=True)
class Ramp:
    """A straight line from one value to another, then flat; or over again."""

    kind: ClassVar[str] = "ramp"
    start: float
    end: float
    over_s: float
    repeat: bool = False

    def begin(self, seed: int) -> Evaluator:
        """Return the line."""
        return self._at

    def _at(self, t: float) -> float:
        part = t / self.over_s
        part = part % 1.0 if self.repeat else min(part, 1.0)
        return self.start + (self.end - self.start) * part


@dataclass(frozen=True, slots=True)
class Sine:
    """A swing around a mean."""

    kind: ClassVar[str] = "sine"
    mean: float
    amplitude: float
    period_s: float
    delay_s: float = 0.0

    def begin(self, seed: int) -> Evaluator:
        """Return the swing; it passes the mean upwards at `delay_s`."""
        return self._at

    def _at(self, t: float) -> float:
        turn = 2 * math.pi * (t - self.delay_s) / self.period_s
        return self.mean + self.amplitude * math.sin(turn)


@dataclass(frozen=True, slots=True)
class Noise:
    """Independent normal deviations around a mean, one each `every_s`."""

    kind: ClassVar[str] = "noise"
    mean: float
    spread: float  # standard deviation
    every_s: float = 1.0

    def begin(self, seed: int) -> Evaluator:
        """Return the noise of this seed."""
        return lambda t: self.mean + self.spread * gauss(seed, math.floor(t / self.every_s))


@dataclass(frozen=True, slots=True)
class RandomWalk:
    """A value that drifts by normal steps and is drawn back to where it began."""

    kind: ClassVar[str] = "random_walk"
    start: float
    step: float  # standard deviation of one step
    every_s: float = 1.0
    pull: float = 0.01  # share of the distance from the start given back each step; 0: free

    def begin(self, seed: int) -> Evaluator:
        """Return the walk of this seed."""
        return _Walker(self, seed).at


class _Walker:
    """Remembers how far a walk has come, so that each step is taken once."""

    def __init__(self, walk: RandomWalk, seed: int) -> None:
        self._walk = walk
        self._seed = seed
        self._steps = 0
        self._value = walk.start

    def at(self, t: float) -> float:
        """Return the value at `t`; going back begins anew and gives the same values again."""
        wanted = max(0, math.floor(t / self._walk.every_s))
        if wanted < self._steps:
            self._steps, self._value = 0, self._walk.start
        while self._steps < wanted:
            self._steps += 1
            self._value += self._walk.step * gauss(self._seed, self._steps)
            self._value += self._walk.pull * (self._walk.start - self._value)
        return self._value


@dataclass(frozen=True, slots=True)
class Step:
    """Values that begin at given seconds and last until the next; the script of a switch."""

    kind: ClassVar[str] = "step"
    points: tuple[tuple[float, Scalar], ...]  # (seconds, value), rising
    repeat_s: float | None = None

    def begin(self, seed: int) -> Evaluator:
        """Return the staircase."""
        return self._at

    def _at(self, t: float) -> Scalar:
        t += HALF_NS  # time comes in whole nanoseconds; 3.6 % 0.6 would be a hair before the turn
        t = t % self.repeat_s if self.repeat_s else t
        index = bisect.bisect_right(self.points, t, key=lambda point: point[0]) - 1
        return self.points[max(0, index)][1]

    def times(self, after: float, until: float) -> list[float]:
        """Return the seconds in (after, until] at which a new value begins."""
        if not self.repeat_s:
            return [at for at, _ in self.points if after < at <= until]
        first, last = (math.floor(t / self.repeat_s) for t in (after, until))
        rounds = range(max(0, first), last + 1)
        times = [turn * self.repeat_s + at for turn in rounds for at, _ in self.points]
        return [at for at in times if after < at <= until]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded course, straight lines between its points."""

    kind: ClassVar[str] = "csv"
    points: tuple[tuple[float, float], ...]  # (seconds, value), rising
    repeat: bool = False

    def begin(self, seed: int) -> Evaluator:
        """Return the course; flat before its first and after its last point."""
        return self._at

    def _at(self, t: float) -> float:
        if self.repeat and self.points[-1][0] > 0:
            t %= self.points[-1][0]
        index = bisect.bisect_right(self.points, t, key=lambda point: point[0])
        if index == 0 or index == len(self.points):
            return self.points[max(0, index - 1)][1]
        (t0, v0), (t1, v1) = self.points[index - 1 : index + 1]
        return v0 + (v1 - v0) * (t - t0) / (t1 - t0)


@dataclass(frozen=True, slots=True)
class Sum:
    """Several curves added up, such as a daily swing with noise on it."""

    kind: ClassVar[str] = "sum"
    parts: tuple[Curve, ...]

    def begin(self, seed: int) -> Evaluator:
        """Return the sum; each part has a seed of its own."""
        evaluators = [part.begin(seed + i) for i, part in enumerate(self.parts)]
        return lambda t: sum(float(evaluate(t)) for evaluate in evaluators)


def seed_of(seed: int, name: str) -> int:
    """Return the seed of one named thing in a world of seed `seed`."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


_MASK: Final = (1 << 64) - 1


def uniform(seed: int, index: int) -> float:
    """Return the `index`-th number of a seed, evenly spread over [0, 1).

    Any index can be asked at once, which a generator with hidden state cannot do.
    Source: splitmix64 (Steele, Lea and Flood, 2014).
    """
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def gauss(seed: int, index: int) -> float:
    """Return the `index`-th normal deviate of a seed (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(seed, 2 * index)))
    return radius * math.cos(2 * math.pi * uniform(seed, 2 * index + 1))
