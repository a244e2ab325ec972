"""The workloads: which figures each yields, which script measures it for which subject, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .subjects import (
    BUSSDCC_021,
    BUSSDCC_042,
    FRAMEWORK,
    MANYFOLD_0142,
    MANYFOLD_016,
    ORJSON,
    REACTIVEX,
    ZU_CORE,
    Subject,
)

SCRIPTS = Path(__file__).parent / "scripts"


class Better(StrEnum):
    """Which way a figure improves."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a workload yields; `name` is the workload column of its rows."""

    name: str
    title: str
    unit: str
    better: Better


@dataclass(frozen=True, slots=True)
class Entry:
    """How one subject runs a workload."""

    subject: Subject
    script: str  # relative to `scripts/`
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often; medians need an odd number of rounds."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to be measured; the first figure is the script's value, the rest its `also`."""

    name: str
    figures: tuple[Figure, ...]
    entries: tuple[Entry, ...]
    full: Effort
    quick: Effort
    pinned: bool = True  # to one processor: single-threaded work, no migrations
    timeout_s: float = 60.0


_RATE = Effort(9, 0.3), Effort(3, 0.08)


def workloads(leyden: Subject) -> tuple[Workload, ...]:
    """Return every workload, in the order they run and are printed."""
    return (
        _publish(leyden, 1),
        _publish(leyden, 10),
        _capacitor(leyden),
        _log(leyden),
        _frames(leyden),
        _latest(leyden),
        _import(leyden),
        _boot(leyden),
        _rss(leyden),
        _sim_hour(leyden),
        _soak(leyden),
    )


def _publish(leyden: Subject, subscribers: int) -> Workload:
    arguments = (f"subscribers={subscribers}",)
    title = f"events a second to {subscribers} inline subscriber{'s'[: subscribers - 1]}"
    return Workload(
        f"publish_{subscribers}",
        (Figure(f"publish_{subscribers}", title, "1/s", Better.HIGHER),),
        (
            Entry(leyden, "publish/by_leyden.py", arguments),
            Entry(BUSSDCC_021, "publish/by_bussdcc_021.py", arguments),
            Entry(BUSSDCC_042, "publish/by_bussdcc_042.py", arguments),
            Entry(FRAMEWORK, "publish/by_framework.py", arguments),
            Entry(MANYFOLD_016, "publish/by_manyfold.py", arguments),
            Entry(MANYFOLD_0142, "publish/by_manyfold.py", arguments),
            Entry(ZU_CORE, "publish/by_zu_core.py", arguments),
            Entry(REACTIVEX, "publish/by_reactivex.py", arguments),
        ),
        *_RATE,
    )


def _capacitor(leyden: Subject) -> Workload:
    return Workload(
        "capacitor",
        (
            Figure(
                "capacitor",
                "events a second into a capacitor before a 1 ms consumer",
                "1/s",
                Better.HIGHER,
            ),
            Figure(
                "capacitor_stall",
                "longest pause of that producer before a 100 ms consumer",
                "ms",
                Better.LOWER,
            ),
        ),
        (
            Entry(leyden, "capacitor/by_leyden.py"),
            Entry(MANYFOLD_016, "capacitor/by_manyfold.py"),
            Entry(MANYFOLD_0142, "capacitor/by_manyfold.py"),
        ),
        *_RATE,
        pinned=False,
    )


def _log(leyden: Subject) -> Workload:
    return Workload(
        "log",
        (
            Figure("log", "single-channel events a second until on disk", "1/s", Better.HIGHER),
            Figure("log_bytes", "size of an event in the log", "By", Better.LOWER),
        ),
        (
            Entry(leyden, "log/by_leyden.py"),
            Entry(BUSSDCC_021, "log/by_bussdcc_021.py"),
            Entry(FRAMEWORK, "log/by_framework.py"),
            Entry(ORJSON, "log/by_orjson.py"),
        ),
        # Longer than other rates: a chunk must outweigh the sync it ends with.
        Effort(5, 1.2),
        Effort(3, 0.2),
        pinned=False,
    )


def _frames(leyden: Subject) -> Workload:
    return Workload(
        "frames",
        (
            Figure("frames", "size of a sample in scan frames of ten channels", "By", Better.LOWER),
            Figure(
                "frames_rate",
                "samples a second in scan frames until on disk",
                "1/s",
                Better.HIGHER,
            ),
        ),
        (Entry(leyden, "frames/by_leyden.py"),),
        *_RATE,
        pinned=False,
    )


def _latest(leyden: Subject) -> Workload:
    return Workload(
        "latest",
        (Figure("latest", "reads of the latest value a second", "1/s", Better.HIGHER),),
        (
            Entry(leyden, "latest/by_leyden.py"),
            Entry(BUSSDCC_021, "latest/by_bussdcc_021.py"),
            Entry(BUSSDCC_042, "latest/by_bussdcc_042.py"),
            Entry(MANYFOLD_016, "latest/by_manyfold.py"),
            Entry(MANYFOLD_0142, "latest/by_manyfold.py"),
            Entry(ZU_CORE, "latest/by_zu_core.py"),
        ),
        *_RATE,
    )


def _import(leyden: Subject) -> Workload:
    script = "import/cold_import.py"
    return Workload(
        "import",
        (
            Figure("import", "time to import in a fresh process", "ms", Better.LOWER),
            Figure("import_rss", "memory of that process afterwards", "MB", Better.LOWER),
        ),
        (
            Entry(leyden, script, ("leyden.kernel:EventStream",)),
            Entry(BUSSDCC_021, script, ("bussdcc:Runtime",)),
            Entry(BUSSDCC_042, script, ("bussdcc:Runtime",)),
            Entry(FRAMEWORK, script, ("bussdcc_framework.runtime:Runtime",)),
            Entry(MANYFOLD_016, script, ("manyfold:Graph",)),
            Entry(MANYFOLD_0142, script, ("manyfold:Graph",)),
            Entry(ZU_CORE, script, ("zu_core:EventBus",)),
            Entry(REACTIVEX, script, ("reactivex:Subject",)),
        ),
        Effort(9, 0),
        Effort(3, 0),
    )


def _boot(leyden: Subject) -> Workload:
    return Workload(
        "boot",
        (Figure("boot", "boot and shutdown of a runtime with ten parts", "ms", Better.LOWER),),
        (
            Entry(leyden, "boot/by_leyden.py"),
            Entry(BUSSDCC_021, "boot/by_bussdcc_021.py"),
            Entry(BUSSDCC_042, "boot/by_bussdcc_042.py"),
            Entry(FRAMEWORK, "boot/by_bussdcc_042.py", ("module=bussdcc_framework.runtime",)),
        ),
        Effort(5, 0),
        Effort(3, 0),
        pinned=False,
    )


def _rss(leyden: Subject) -> Workload:
    return Workload(
        "rss",
        (Figure("rss", "memory of a runtime that samples a greenhouse", "MB", Better.LOWER),),
        (
            Entry(leyden, "rss/by_leyden.py"),
            Entry(BUSSDCC_021, "rss/by_bussdcc_021.py"),
            Entry(FRAMEWORK, "rss/by_framework.py"),
        ),
        Effort(3, 5.0),
        Effort(1, 2.0),
        pinned=False,
    )


def _sim_hour(leyden: Subject) -> Workload:
    return Workload(
        "sim_hour",
        (
            Figure(
                "sim_hour",
                "a simulated hour of twenty devices, one digest twice",
                "s",
                Better.LOWER,
            ),
        ),
        (Entry(leyden, "sim_hour/by_leyden.py"),),
        Effort(3, 0),
        Effort(1, 0),
        pinned=False,
    )


def _soak(leyden: Subject) -> Workload:
    title = "growth of memory over simulated time at 100 samples a second"
    return Workload(
        "soak",
        (Figure("soak", title, "MB", Better.LOWER),),
        (Entry(leyden, "soak/by_leyden.py"),),
        Effort(1, 86_400),
        Effort(1, 3_600),
        pinned=False,
        timeout_s=240.0,
    )
