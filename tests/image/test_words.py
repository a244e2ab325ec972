"""What the builder says and leaves behind: progress, errors, exit codes, whole files."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from leyden_image import cli
from leyden_image.cli import EXIT_FAILED, EXIT_INTERRUPTED, main
from leyden_image.errors import ImageError
from leyden_image.progress import Progress, bytes_in_words
from leyden_image.store import alone, whole, write_whole
from leyden_image.tools import run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_than_on_a_terminal_a_step_is_one_plain_line() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    with progress.step("slot") as step:
        step.say("half")
        step.say("98.6 MB")
    assert stream.getvalue().split(maxsplit=2)[2] == "slot: 98.6 MB\n"
    assert "\x1b" not in stream.getvalue()
    assert [(done.name, done.note) for done in progress.finished] == [("slot", "98.6 MB")]


def test_on_a_terminal_the_running_step_is_seen() -> None:
    stream = Terminal()
    with Progress(stream).step("slot") as step:
        step.say("half")
    assert "slot …" in stream.getvalue()
    assert stream.getvalue().endswith("slot: half\n")


def test_a_step_that_fails_says_so() -> None:
    stream = io.StringIO()
    with pytest.raises(ImageError), Progress(stream).step("slot"):
        raise ImageError("x")
    assert stream.getvalue() == "  slot: not finished\n"


@pytest.mark.parametrize(
    ("count", "words"),
    [(12, "12 B"), (1_500, "1.5 kB"), (98_566_144, "98.6 MB"), (2 * 10**9, "2.0 GB")],
)
def test_bytes_are_said_as_shops_do(count: int, words: str) -> None:
    assert bytes_in_words(count) == words


def test_a_file_is_there_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "result"
    write_whole(path, "old")

    def interrupted() -> None:
        with whole(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_builds_do_not_share_an_output(tmp_path: Path) -> None:
    with (
        alone(tmp_path),
        pytest.raises(ImageError, match="another build is writing"),
        alone(tmp_path, wait=False),
    ):
        pytest.fail("the second build has begun")
    with alone(tmp_path, wait=False):
        assert (tmp_path / ".image.lock").exists()


def test_a_tool_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="exit code 3:\n  what a pity"):
        run(["sh", "-c", "echo what a pity >&2; exit 3"])
    with pytest.raises(ImageError, match="ended with signal 9"):
        run(["sh", "-c", "kill -9 $$"])
    with pytest.raises(ImageError, match="no-such-tool is not on this machine; .* host"):
        run(["no-such-tool"])
    assert run(["cat"], stdin="words", folder=tmp_path) == "words"


def test_tools_speak_one_language_and_find_the_administrators_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    said = run(["sh", "-c", "echo $LC_ALL $TZ $PATH"], environment={"TZ": "UTC"}).split()
    assert said[:2] == ["C.UTF-8", "UTC"]
    assert said[2].split(":")[-2:] == ["/usr/sbin", "/sbin"]


def test_the_command_line_tells_what_an_image_is_made_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "kernel     Linux from trixie-backports" in said
    assert "squashfs-level = 15" in said
    assert "pi5        Raspberry Pi 5" in said


def test_a_mistake_is_one_sentence_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "leydn"]) == EXIT_FAILED
    assert "did you mean 'leyden'" in capsys.readouterr().err


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for command in ("build", "list", "lock", "report", "compare", "host", "bundle"):
        assert f"    {command} " in said


def test_a_wish_to_end_is_taken_as_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(*_: object, **__: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the build went on")

    monkeypatch.setattr(cli, "build", build)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    assert main(["build"]) == EXIT_INTERRUPTED
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before
    assert "what was there before still is" in capsys.readouterr().err


def test_a_summary_is_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked: dict[str, object] = {}

    def build(*_: object, **named: object) -> dict[str, Any]:
        asked.update(named)
        return {"image": "x"}

    monkeypatch.setattr(cli, "build", build)
    arguments = ["build", "--json", "--fast", "--out", str(tmp_path), "--keyring", "k.pem"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == {"image": "x"}
    assert asked == {"fast": True, "keyring": Path("k.pem")}
