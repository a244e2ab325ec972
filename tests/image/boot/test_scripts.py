"""The scripts of boot partition and initrd: they compile, and they name each other rightly."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from image.boot.shells import BOOT, INITRD

from leyden_image.initrd import read_module_list

SCRIPTS = sorted(
    path
    for path in INITRD.rglob("*")
    if path.is_file() and (path.suffix in {".sh", ".cgi"} or path.name in {"init", "lease"})
)
PROJECT = BOOT.parents[1]


def needs(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed on this machine")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(INITRD)))
def test_a_script_of_the_initrd_has_no_complaint_of_shellcheck(script: Path) -> None:
    needs("shellcheck")
    # Seen alone, a part cannot know who sets or reads what it shares with the others.
    alone = [] if script.name == "init" else ["-e", "SC2034,SC2153"]
    done = subprocess.run(
        ["shellcheck", "-x", "-s", "sh", *alone, script],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(INITRD)))
def test_a_script_of_the_initrd_can_be_parsed_by_the_shell(script: Path, shell: str) -> None:
    done = subprocess.run([*shell.split(), "-n", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_whatever_is_started_by_name_may_be_executed() -> None:
    started = [INITRD / "init", INITRD / "leyden" / "lease", *INITRD.glob("www/cgi-bin/*")]
    assert len(started) == 4
    assert [path for path in started if not path.stat().st_mode & 0o111] == []


def test_the_boot_script_compiles(tmp_path: Path) -> None:
    needs("mkimage")
    target = tmp_path / "boot.scr"
    command = ["mkimage", "-A", "arm64", "-O", "linux", "-T", "script", "-C", "none"]
    subprocess.run([*command, "-d", BOOT / "boot.cmd", target], check=True, capture_output=True)
    assert (BOOT / "boot.cmd").read_bytes() in target.read_bytes()


def test_the_boot_script_opens_and_closes_the_same_number_of_blocks() -> None:
    # U-Boot's shell says "syntax error" at the end of a script and nothing else; better here.
    script = (BOOT / "boot.cmd").read_text()
    words = re.findall(r"(?:^|;) *(?:then |do )?(if|fi|for|done)\b", script, re.M)
    assert words.count("if") == words.count("fi") > 0
    assert words.count("for") == words.count("done") > 0


@pytest.mark.parametrize("script", ["boot.cmd", "uboot.env.txt"])
def test_every_variable_of_the_boot_script_has_been_set(script: str) -> None:
    """A misspelt variable is empty in U-Boot, and an empty address is zero."""
    text = "\n".join(
        line for line in (BOOT / script).read_text().splitlines() if not line.startswith("#")
    )
    given = {"devtype", "devnum", "distro_bootpart"}  # by whoever sources the script
    own = {"board", "serial#", "fdt_addr", "fdtfile", "filesize"}  # by U-Boot itself
    counted = set(re.findall(r"^(\w+)=", text, re.M)) | {"BOOT_ORDER", "BOOT_A_LEFT", "BOOT_B_LEFT"}
    imported = {"extra_args", "kernel_sum", "kernel_mus", "initrd_sum", "initrd_mus"}
    set_here = set(re.findall(r"\b(?:setenv|for|setexpr(?:\.l)?) (\w+)", text))
    used = set(re.findall(r"\$\{([^}]+)\}", text))
    assert used - set_here - given - own - counted - imported == set()


def test_lines_of_the_boot_script_fit_into_the_boot_loaders_buffer() -> None:
    # CONFIG_SYS_CBSIZE of both boot loaders is 1024 or more.
    assert max(len(line) for line in (BOOT / "boot.cmd").read_text().splitlines()) < 1000


def test_the_modules_of_both_initrds_are_kept_in_the_root() -> None:
    kept = set(read_module_list(BOOT.parent / "layer" / "kernel" / "modules.txt"))
    slot = set(read_module_list(BOOT / "initrd-modules.txt"))
    recovery = set(read_module_list(BOOT / "recovery-modules.txt"))
    assert slot
    assert recovery
    assert slot & recovery == set()
    assert (slot | recovery) - kept == set()


def test_what_the_initrd_loads_for_mounting_is_in_it() -> None:
    text = (INITRD / "leyden" / "hardware.sh").read_text()
    found = re.search(r"^MOUNTING='([^']+)'", text, re.M)
    assert found is not None
    assert set(found[1].split()) <= set(read_module_list(BOOT / "initrd-modules.txt"))


@pytest.mark.parametrize("overlay", sorted((BOOT / "overlays").glob("*.dts")), ids=lambda p: p.stem)
def test_an_overlay_compiles_without_a_warning(overlay: Path, tmp_path: Path) -> None:
    needs("dtc")
    done = subprocess.run(
        ["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", tmp_path / "x.dtbo", overlay],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_list_of_boards_names_overlays_that_exist() -> None:
    lines = (BOOT / "overlays" / "boards.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    known = {path.stem for path in (BOOT / "overlays").glob("*.dts")}
    assert rows
    assert {name for row in rows for name in row[1:]} <= known
    assert all(row[0].endswith(".dtb") for row in rows)
