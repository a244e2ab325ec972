"""Signals that end a program: taken as a request, not as an end at any odd moment."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)
_DEFAULTS: Final = (signal.SIG_DFL, signal.default_int_handler)
_NO_MORE: Final = b"\0"


@contextmanager
def asked_by_signals(ask: Callable[[str], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT call `ask("signal SIGTERM")` while the context lasts.

    A handler that the program has set itself is left alone, and outside the main thread, where
    Python allows no handlers, nothing is changed.
    """
    mine = [number for number in _ENDING if signal.getsignal(number) in _DEFAULTS]
    if not mine or threading.current_thread() is not threading.main_thread():
        yield
        return
    # A handler runs between any two bytecodes of the main thread and may take no lock that this
    # thread holds: it only writes a byte, and the thread that reads it does the asking.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    asking = threading.Thread(target=_listen, args=(reader, ask), name="signals", daemon=True)
    asking.start()
    before = {number: signal.signal(number, _note(writer)) for number in mine}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.write(writer, _NO_MORE)
        asking.join()
        os.close(reader)
        os.close(writer)


def _note(writer: int) -> Callable[[int, object], None]:
    def note(number: int, _: object) -> None:
        os.write(writer, bytes([number]))

    return note


def _listen(reader: int, ask: Callable[[str], None]) -> None:
    while (number := os.read(reader, 1)) != _NO_MORE:
        ask(f"signal {signal.Signals(number[0]).name}")
