"""The command line of the rig: `python -m leyden_hil run qemu-virt`, `… report`, `… targets`."""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from leyden_hil import images, report
from leyden_hil.card import digest
from leyden_hil.errors import InfraError, RigError
from leyden_hil.results import FILE, Attempt, by_test, read, verdict

HIL: Final = Path(__file__).resolve().parent.parent
BUILD: Final = HIL.parent / "build"
PASSED, FAILED, USAGE, BROKEN = 0, 1, 2, 3
_NOTHING: Final = 5  # pytest's code for a run without tests
_ATTEMPTS: Final = 3  # of a test that the rig could not try


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code.

    0: all passed; 1: something failed; 2: the command line was wrong; 3: the rig could not try
    everything.
    """
    options = _parse(arguments)
    try:
        return int(options.do(options))
    except RigError as error:
        sys.stderr.write(f"{error}\n")
        return BROKEN


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="leyden_hil", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="boot the image on a target and test it")
    run.add_argument("target", nargs="+", choices=targets(), metavar="TARGET")
    run.add_argument("--full", action="store_true", help="every row, not those of CI only")
    run.add_argument("-k", dest="only", default="", help="tests whose name fits the expression")
    run.add_argument("--attempts", type=int, default=_ATTEMPTS, help="where the rig itself fails")
    run.set_defaults(do=_run)
    commands.add_parser("report", help="print what was measured").set_defaults(do=_report)
    commands.add_parser("targets", help="list the targets").set_defaults(do=_targets)
    return parser.parse_args(arguments)


def targets() -> list[str]:
    """Return the names of the targets."""
    return sorted(path.stem for path in (HIL / "targets").glob("*.yaml"))


def _targets(_: argparse.Namespace) -> int:
    sys.stdout.write("\n".join(targets()) + "\n")
    return PASSED


def _report(_: argparse.Namespace) -> int:
    text = report.markdown(BUILD / "hil")
    (BUILD / "hil" / "report.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return PASSED


def _run(options: argparse.Namespace) -> int:
    if packages := images.missing_packages():
        raise InfraError(f"programs are missing; try: apt-get install {' '.join(packages)}")
    image = images.find(BUILD)
    name = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    codes = [_run_target(target, image, name, options) for target in options.target]
    _report(options)
    return max(codes)


def _run_target(target: str, image: images.Image, name: str, options: argparse.Namespace) -> int:
    folder = BUILD / "hil" / target
    line = [sys.executable, "-m", "pytest", "-c", str(HIL / "pytest.ini"), "--rootdir", str(HIL)]
    line += ["--lg-env", str(HIL / "targets" / f"{target}.yaml"), "--image", str(image.unpacked)]
    line += ["--build", str(image.build)]
    line += ["--results", str(folder), "--run", name, "--card-digest", digest(image.unpacked)]
    line += ["--full"] if options.full else []
    line += ["-k", options.only] if options.only else []
    for attempt in range(1, options.attempts + 1):
        again = _untried(folder, name) if attempt > 1 else [str(HIL / "tests")]
        if not again:
            break
        code = subprocess.run([*line, "--attempt", str(attempt), *again], check=False).returncode
        if code == _NOTHING:
            raise InfraError(f"{target} has no row that fits; `--full` has those not in CI yet")
        if code not in (0, 1):  # not what tests say, but pytest itself
            raise InfraError(f"{target}: pytest ended with {code}; its output above says why")
    return _judge(_of_run(folder, name), target)


def _of_run(folder: Path, name: str) -> list[Attempt]:
    return [row for row in read(folder / FILE) if row.run == name]


def _untried(folder: Path, name: str) -> list[str]:
    tests = by_test(_of_run(folder, name))
    return [str(HIL / test) for test, rows in tests.items() if verdict(rows) == "infra"]


def _judge(rows: Sequence[Attempt], target: str) -> int:
    verdicts = {verdict(group) for group in by_test(rows).values()}
    if not verdicts:
        raise InfraError(f"{target}: no test was tried")
    if "infra" in verdicts:
        return BROKEN
    return FAILED if "fail" in verdicts else PASSED


if __name__ == "__main__":
    sys.exit(main())
