"""Health: the word that tells how a route is doing, on a route of its own."""

from __future__ import annotations

from enum import StrEnum

from leyden.kernel import Origin, Route, Schema, Variant


class Health(StrEnum):
    """What a health route says."""

    SILENT = "silent"  # nothing came for longer than allowed
    RECOVERED = "recovered"  # something came again
    FAILED = "failed"  # the source raised and will send no more
    COMPLETED = "completed"  # the source has sent all it had


def health_route(route: Route) -> Route:
    """Return the route that tells of another one's health: `air.temperature;variant=health`."""
    return Route.of(
        route.name,
        Schema("text"),
        origin=Origin.DERIVED,
        plane=route.plane,
        layer=route.layer,
        variant=Variant.HEALTH,
    )
