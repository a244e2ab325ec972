"""The line protocol: `12 i2c.fault kind=flip bit=3` comes in, one line of JSON goes out.

A line is a number, a word and values. Numbers are decimal or 0x…; bytes are hexadecimal digits in
pairs; everything else is text. The answer carries the number of its line, so that a lost line is
noticed: `{"n": 12, "ok": true}` or `{"n": 12, "ok": false, "error": "found …, expected …"}`.
"""

import json

from . import PROTOCOL, VERSION

LONGEST_LINE = 1024


class WordError(Exception):
    """A line that cannot be carried out; the text says what was found and expected."""


class Values:
    """The values of a line, read once each by the word that wants them."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def number(
        self, name: str, default: int | None = None, low: int = 0, high: int = 0x7FFFFFFF
    ) -> int:
        """Return a whole number within its limits."""
        text = self._texts.pop(name, None)
        if text is None:
            if default is None:
                raise WordError(f"found no {name}, expected a number")
            return default
        try:
            value = int(text, 0)
        except ValueError:
            raise WordError(f"{name}: found {text}, expected a number") from None
        if not low <= value <= high:
            raise WordError(f"{name}: found {value}, expected {low} to {high}")
        return value

    def data(self, name: str, default: bytes | None = None) -> bytes:
        """Return bytes."""
        text = self._texts.pop(name, None)
        if text is None:
            if default is None:
                raise WordError(f"found no {name}, expected bytes such as 4b00")
            return default
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise WordError(f"{name}: found {text}, expected hexadecimal pairs") from None

    def one_of(self, name: str, known: list[str], default: str | None = None) -> str:
        """Return one of some words."""
        text = self._texts.pop(name, default)
        if text is None or text not in known:
            choices = ", ".join(known)
            raise WordError(f"{name}: found {text}, expected one of {choices}")
        return text

    def numbers(self, name: str) -> list[int]:
        """Return numbers that are separated by commas."""
        text = self._texts.pop(name, "")
        try:
            return [int(each, 0) for each in text.split(",")]
        except ValueError:
            raise WordError(f"{name}: found {text}, expected numbers such as 800,200") from None

    def refuse_rest(self) -> None:
        """Complain about values that nobody wanted: most likely misspelt."""
        if self._texts:
            names = ", ".join(self._texts)
            raise WordError(f"found {names}, which this word does not know")


def parse(line: str) -> tuple[int, str, Values]:
    """Return number, word and values of a line.

    Raises:
        WordError: it is none.
    """
    pieces = line.split()
    if len(pieces) < 2 or not pieces[0].isdigit():
        raise WordError('expected "12 hello protocol=1": a number, a word and values')
    texts = {}
    for piece in pieces[2:]:
        name, equals, text = piece.partition("=")
        if not equals or not name or name in texts:
            raise WordError(f"found {piece}, expected each value once as name=value")
        texts[name] = text
    return int(pieces[0]), pieces[1], Values(texts)


def answer(number: int, facts: dict[str, object]) -> str:
    """Return the answer to a line that was carried out."""
    return json.dumps(dict(facts, n=number, ok=True))


def refusal(number: int, error: str) -> str:
    """Return the answer to a line that was not."""
    return json.dumps({"n": number, "ok": False, "error": error})


def number_of(line: str) -> int:
    """Return the number that a line seems to have, for its refusal; 0 if none."""
    first = line.split(" ", 1)[0]
    return int(first) if first.isdigit() else 0


def greeting(board: str, serial: str, words: list[str]) -> dict[str, object]:
    """Return what the handshake tells about this side."""
    return {
        "what": "leyden-injector",
        "protocol": PROTOCOL,
        "version": VERSION,
        "board": board,
        "serial": serial,
        "words": words,
    }
