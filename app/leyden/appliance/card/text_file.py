"""Text files as people's editors write them: UTF-8, with or without a mark, or Windows' UTF-16."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from leyden.kernel import LeydenError

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_SAMPLE: Final = 64  # bytes that show whether every other one is zero
_UTF32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class UnreadableError(LeydenError):
    """Bytes that are no text file, with what they look like."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text, and how it was written, so that it can be written back the same way.

    Bytes that are no UTF-8 are kept as lone surrogates, as `surrogateescape` has it.
    """

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""  # byte order mark

    @property
    def lines(self) -> list[str]:
        """The lines, each with its end."""
        return lines_of(self.text)

    def encode(self, text: str) -> bytes:
        """Return another text as bytes, written as this one was."""
        return self.mark + self.measure(text)

    def measure(self, text: str) -> bytes:
        """Return a piece of text as bytes, without a mark."""
        errors = "surrogateescape" if self.encoding == "utf-8" else "strict"
        return text.encode(self.encoding, errors)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with their ends, whichever system's ends they are."""
    return _LINE.findall(text)


def decode(data: bytes) -> TextFile:
    """Return what a file says.

    Raises:
        UnreadableError: it is none, with words about what it may be.
    """
    _refuse_strangers(data)
    encoding, mark = _encoding(data)
    errors = "surrogateescape" if encoding == "utf-8" else "strict"
    try:
        text = data[len(mark) :].decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"is UTF-16 and damaged at byte {error.start}; save it as UTF-8 text"
        ) from None
    return TextFile(text, encoding, mark)


def _refuse_strangers(data: bytes) -> None:
    if data and not data.strip(b"\0"):
        raise UnreadableError(
            f"holds {len(data)} zero bytes and no text, as after a power cut while it was saved; "
            "write it again"
        )
    if data.startswith(b"{\\rtf"):
        raise UnreadableError("is a rich text document (RTF); save it as plain text")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UnreadableError("is a word processor's document; save it as plain text")
    if data.startswith(_UTF32):
        raise UnreadableError("is UTF-32; save it as UTF-8 text")


def _encoding(data: bytes) -> tuple[str, bytes]:
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8", codecs.BOM_UTF8
    if data.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le", codecs.BOM_UTF16_LE
    if data.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be", codecs.BOM_UTF16_BE
    # Without a mark: plain letters in UTF-16 have a zero for every other byte.
    sample = data[:_SAMPLE]
    if len(sample) > 1 and not sample[1::2].strip(b"\0"):
        return "utf-16-le", b""
    if len(sample) > 1 and not sample[::2].strip(b"\0"):
        return "utf-16-be", b""
    return "utf-8", b""
