"""Errors of updates: a code for programs and history, and words that say what to try."""

from __future__ import annotations

from leyden.kernel import LeydenError


class UpdateError(LeydenError):
    """An update, or a look at the slots, that went wrong.

    Args:
        code: one word for programs: "older", "expired", "busy".
        words: what was found, what was expected, what to try.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class RefusedError(UpdateError):
    """The update itself may not be installed here."""


class NotNowError(UpdateError):
    """The appliance is not in a state to be updated; the update may be well."""


class NoCardError(UpdateError):
    """This machine is no appliance that runs from a card with two slots."""

    def __init__(self, words: str) -> None:
        super().__init__("no-card", words)
