"""One command: parses its arguments, runs it, and says in a line what went wrong."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

from leyden.appliance.words import ConfigError
from leyden.kernel import LeydenError

EXIT_FAILED: Final = 1
EXIT_CONFIGURATION: Final = 2


class UsageError(LeydenError):
    """Arguments or an environment that make no sense; ends with exit code 2."""


def carry_out(module: str, words: Sequence[str]) -> int:
    """Run the command in `module` with these arguments and return its exit code."""
    command = importlib.import_module(module)
    parser = command.parser()
    args = parser.parse_args(words)
    try:
        code: int = command.run(args)
    except ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return EXIT_CONFIGURATION
    except LeydenError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION if isinstance(error, UsageError) else EXIT_FAILED
    return code
