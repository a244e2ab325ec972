"""Lineage: the events a value came from, found by following each event's cause."""

from __future__ import annotations

from dataclasses import dataclass

from leyden.kernel import Event, EventStream, Scan


@dataclass(frozen=True, slots=True)
class Lineage:
    """An event and what it followed from, newest first.

    Args:
        events: the event asked about, its cause, the cause of that, and so on.
        missing: number of the first cause that is no longer kept; 0 if the walk reached an event
            without a cause, such as a reading.
    """

    events: tuple[Event, ...]
    missing: int = 0

    @property
    def origin(self) -> Event:
        """The oldest event found: the reading, unless `missing` says that there was more."""
        return self.events[-1]

    def explain(self) -> str:
        """Say the way in words, oldest first: `air.temperature #4 → air.smooth #9`."""
        steps = [f"{event.route} #{event.n}" for event in reversed(self.events)]
        if self.missing:
            steps.insert(0, f"#{self.missing} (no longer kept)")
        return " → ".join(steps)


def lineage(events: EventStream, event: Event) -> Lineage:
    """Follow causes back from `event` through what the stream still holds."""
    chain = [event]
    # Causes come before effects, so the numbers fall and the walk ends.
    while (cause := chain[-1].cause) and cause < chain[-1].n:
        found = find(events, cause)
        if found is None:
            return Lineage(tuple(chain), missing=cause)
        chain.append(found)
    return Lineage(tuple(chain))


def find(events: EventStream, n: int) -> Event | None:
    """Return event `n`, out of its scan if need be; None if it is not kept."""
    for record in events.read(n - 1, 1).records:
        if isinstance(record, Scan):
            if record.n <= n < record.n + len(record.values):
                return tuple(record.events())[n - record.n]
        elif record.n == n:
            return record
    return None
