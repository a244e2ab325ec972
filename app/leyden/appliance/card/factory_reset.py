"""Factory reset: a file on the boot partition that the next start takes for the wish to forget.

The file may as well be made on another computer, which helps when nothing else does. What the start
does with it is the initrd's: it makes the data partition anew and then removes the file.
"""

from __future__ import annotations

from typing import Final

from leyden.appliance.card.boot_partition import BootPartition

FILE: Final = "factory-reset"
_TEXT: Final = b"At the next start everything on this card but its programs is forgotten.\r\n"


def ask(boot: BootPartition) -> None:
    """Leave the file.

    Raises:
        BootPartitionError: it cannot be written; nothing will be forgotten.
    """
    boot.write(FILE, _TEXT)


def withdraw(boot: BootPartition) -> None:
    """Take the file away again.

    Raises:
        BootPartitionError: it cannot be removed.
    """
    boot.remove(FILE)
