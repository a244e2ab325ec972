"""Judges a configuration file: `python -m leyden.appliance.judging FILE` prints a verdict as JSON.

The child of `judge.judge_in_child`, and a module of its own: whoever imports this one loads
pydantic and all drivers, which the runtime is spared.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from leyden.appliance.config import ConfigError, load
from leyden.appliance.judge import Verdict


def main() -> int:
    """Judge the file that the command line names; print the verdict as JSON and return 0."""
    try:
        verdict = Verdict(load(Path(sys.argv[1])))
    except ConfigError as error:
        verdict = Verdict(None, error.problems)
    sys.stdout.buffer.write(msgspec.json.encode(verdict))
    return 0


if __name__ == "__main__":
    sys.exit(main())
