"""What the panel answers instead of an answer: a status, a code for programs, words for people."""

from __future__ import annotations

import msgspec

from leyden.kernel import LeydenError
from leyden.link.client import ErrorBody, LinkDownError, LinkRefusal

_OF_REFUSAL = {
    "bad_request": 400,
    "forbidden": 403,
    "not_found": 404,
    "unavailable": 404,
    "busy": 503,
}


class PanelError(LeydenError):
    """A request that is not met, as HTTP says it."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every error."""

    error: ErrorBody


def error_body(code: str, message: str) -> bytes:
    """Return the JSON of an error."""
    return msgspec.json.encode(ErrorAnswer(ErrorBody(code, message)))


def of_link(error: LinkDownError | LinkRefusal) -> PanelError:
    """Return what a failure of the link means to an HTTP client."""
    if isinstance(error, LinkDownError):
        words = "the runtime does not answer; it may be restarting"
        return PanelError(503, "runtime_away", words, {"Retry-After": "1"})
    return PanelError(_OF_REFUSAL.get(error.code, 500), error.code, error.message)
