"""Errors of the route graph: a stage, a pipe or a value that does not fit where it was put."""

from __future__ import annotations

from leyden.kernel import LeydenError


class FlowError(LeydenError, ValueError):
    """A graph that cannot be wired as asked.

    Args:
        text: what was found and what was expected.
        path: where it was written, such as `from` or `through[0].capacitor.keep`; a configuration
            puts its own path in front. Empty where no one place is to blame.
    """

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(f"{path}: {text}" if path else text)
        self.path = path
        self.text = text


class StageError(FlowError):
    """A stage or an option of one that cannot stand."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text, path)


class SchemaError(FlowError, TypeError):
    """A value that is not of the type its route carries."""


class FullError(LeydenError):
    """A capacitor had no room in the time its producer was willing to wait."""
