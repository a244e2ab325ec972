"""The README's claims that a machine can check: its example, its commands, its links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
EXAMPLE = ROOT / "app/leyden/manual/examples/library.py"


def test_the_example_is_the_file_that_the_manuals_tests_run() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert shown == EXAMPLE.read_text()
    code = [line for line in shown.splitlines() if line.strip() and not line.startswith("import")]
    assert len(code) <= 35


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def test_every_make_target_it_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
