"""Errors of the route graph: a stage, a pipe or a value that does not fit where it was put."""

from __future__ import annotations

from leyden.kernel import LeydenError


class FlowError(LeydenError, ValueError):
    """A graph that cannot be wired as asked."""


class StageError(FlowError):
    """A stage or an option of one that cannot stand.

    Args:
        path: where it was written, such as `capacitor.keep`; a configuration puts its own path
            in front.
        text: what was found and what was expected.
    """

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}")
        self.path = path
        self.text = text


class SchemaError(FlowError, TypeError):
    """A value that is not of the type its route carries."""


class FullError(LeydenError):
    """A capacitor had no room in the time its producer was willing to wait."""
