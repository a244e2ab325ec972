"""Tests of the tiers: steps in front of a part, the talk between the ends, and the drift table."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leyden.hal.linux.rig import LinuxRig
from leyden.hal.mock.rig import Rig
from leyden.kernel import Channel, ComponentError, SimulatedExecutor, SystemExecutor
from leyden.testing import drift, tier
from leyden.testing.kit import load_kit
from leyden.testing.tier import CannotError, Result, StepError, Subject, values_of

I2C_DRIVERS = ["at24", "bme280", "ds1307", "lm75"]


def outcomes(results: list[Result]) -> dict[str, str]:
    return {result.step: result.outcome for result in results}


# Steps


@pytest.mark.parametrize("driver", I2C_DRIVERS)
def test_every_driver_on_i2c_passes_its_steps_in_front_of_its_model(driver: str) -> None:
    results = tier.run_modelled(driver)
    assert [result.detail for result in results if result.outcome == "fail"] == []
    taken = outcomes(results)
    assert {"absent", "probe", "start", "witness", "read", "repeat"} <= set(taken)
    assert any("=" in step for step in taken), "the world was changed"
    assert results == [Result.from_line(result.line()) for result in results]


def test_options_of_the_part_are_taken() -> None:
    results = tier.run_modelled("lm75", {"part": "tmp105", "resolution": 12}, tier="model")
    odd = next(result for result in results if result.step == "temperature=56.246")
    assert odd.seen == {"temperature": 56.25}
    assert (odd.tier, odd.close) == ("model", 0.0625)


@pytest.mark.parametrize(
    ("driver", "words"), [("host", "is on none, expected"), ("mcp3008", "is on spi, expected")]
)
def test_a_driver_that_cannot_be_taken_through_them_is_refused(driver: str, words: str) -> None:
    with pytest.raises(ComponentError, match=words):
        tier.run_modelled(driver)


def test_values_are_ends_middle_and_one_on_no_grid() -> None:
    assert values_of(Channel("t", float, "Cel", -55, 125)) == (-55, 125, 35, 0.25, 56.246)
    assert values_of(Channel("n", int, "1", 0, 10)) == (0, 10, 5, 0, 6)
    assert values_of(Channel("open", bool)) == (True, False)
    assert "" in values_of(Channel("name", str))


class Bench:
    """A subject in front of a model that the test may spoil."""

    def __init__(self, driver: str) -> None:
        self.kit = load_kit(f"leyden_drivers.{driver}")
        self.executor = SimulatedExecutor()
        self.rig = Rig(self.executor)
        self.bus = self.rig.i2c("bus")
        self.chip = self.rig.plug("bus", self.model, self.kit.device_id, self.kit.options())
        self.answers = True

    @property
    def model(self) -> Any:
        return self.kit.model

    def ask(self, channel: str, value: Any) -> None:
        if not self.answers:
            raise CannotError("nobody is there")
        self.rig.world.set(f"{self.kit.device_id}.{channel}", value)

    def run(self) -> dict[str, Result]:
        subject = Subject(self.kit, {}, self.bus, self.executor.clock, self.ask, "spoilt")
        return {result.step: result for result in subject.run()}


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench("lm75")
    yield made
    made.rig.close()


def test_a_part_that_does_not_follow_the_world_fails_that_step_only(bench: Bench) -> None:
    bench.ask = lambda channel, value: None  # type: ignore[method-assign]  # says so, and does not
    results = bench.run()
    failed = [step for step, result in results.items() if result.outcome == "fail"]
    assert failed == [step for step in results if step.startswith("temperature=")]
    assert results["temperature=125"].detail == ("StepError: reads 21.5 3 s later, expected 125.0")


def test_a_step_that_nobody_helps_with_is_skipped_with_the_reason(bench: Bench) -> None:
    bench.answers = False
    results = bench.run()
    assert results["temperature=125"].outcome == "skip"
    assert results["temperature=125"].detail == "nobody is there"
    assert results["repeat"].outcome == "pass"


def test_a_part_that_is_not_there_fails_in_the_buss_words(bench: Bench) -> None:
    bench.rig.world.set("case.present", False)
    results = bench.run()
    assert results["absent"].outcome == "pass"
    assert results["probe"].outcome == "fail"
    assert "NoAnswerError: no answer from 0x48" in results["probe"].detail
    assert results["start"].outcome == results["repeat"].outcome == "skip"
    assert results["repeat"].detail == "probe failed before"


def test_a_driver_that_reads_on_after_a_reset_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.kit.driver, "_refuse_forgotten", lambda *_: None)
    assert bench.run()["forgotten"].detail == ("StepError: read on as if nothing had happened")


# The two ends of a run


def test_a_target_asks_and_is_answered(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    class Target:
        """What the command makes of `/dev/i2c-1` here: a modelled bus."""

        clock = bench.executor.clock

        def __init__(self, executor: SystemExecutor) -> None:
            pass

        def i2c(self, name: str, *, path: str) -> Any:
            assert path == "/dev/i2c-1"
            return bench.bus

        def close(self) -> None:
            pass

    class Host:
        """Answers whatever was asked last, as `converse` does."""

        def readline(self) -> str:
            asked = json.loads(capsys.readouterr().out.splitlines()[-1])
            wanted.append(asked["want"])
            answers = io.StringIO()
            assert tier.converse(io.StringIO(json.dumps(asked)), answers, stimulate) == []
            return answers.getvalue()

    def stimulate(channel: str, value: Any) -> None:
        if value == 125.0:
            raise CannotError("too hot for the bench")
        bench.ask(channel, value)

    def tell(results: Iterator[Result], *, as_json: bool) -> int:
        told.extend(results)
        return int(not as_json)

    wanted: list[Any] = []
    told: list[Result] = []
    monkeypatch.setattr(tier, "LinuxRig", Target)
    monkeypatch.setattr("sys.stdin", Host())
    monkeypatch.setattr(tier, "_tell", tell)
    arguments = ["--driver", "lm75", "--bus", "/dev/i2c-1", "--address", "0x48", "--json"]
    assert tier.main(arguments) == 0
    assert wanted[:2] == [{"temperature": -55.0}, {"temperature": 125.0}]
    by_step = {result.step: result for result in told}
    assert by_step["temperature=-55"].outcome == "pass"
    assert by_step["temperature=125"].detail == "too hot for the bench"
    assert by_step["probe"].tier == "/dev/i2c-1"


def test_without_anybody_to_ask_the_rest_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tier.main(["--driver", "lm75", "--bus", "mock", "--option", 'part="tmp75"']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["pass", "probe"]
    assert len(lines) == 12


def test_a_bus_that_is_not_there_fails_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--driver", "lm75", "--bus", "/dev/i2c-does-not-exist", "--no-ask", "--json"]
    assert tier.main(arguments) == 1
    results = [Result.from_line(line) for line in capsys.readouterr().out.splitlines()]
    assert "there is no /dev/i2c-does-not-exist" in results[0].detail


def test_options_that_are_no_toml_are_refused_in_words() -> None:
    with pytest.raises(ComponentError, match='--option: expected TOML such as part="tmp105"'):
        tier.main(["--driver", "lm75", "--bus", "mock", "--option", "part=tmp105"])


def test_a_target_that_says_something_else_is_named() -> None:
    with pytest.raises(StepError, match="found 'Traceback', expected a line of JSON"):
        tier.converse(io.StringIO("\nTraceback\n"), io.StringIO(), lambda channel, value: None)


def test_it_needs_no_test_library_on_a_target() -> None:
    code = (
        "import sys; sys.modules.update(pytest=None, hypothesis=None); "
        "from leyden.testing import tier, drift, load_kit; "
        "print(len(tier.run_modelled('at24')) > 5, 'flask' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True False\n"


def test_the_front_door_names_what_there_is() -> None:
    import leyden.testing

    assert leyden.testing.Bench.__name__ == "Bench"
    with pytest.raises(AttributeError, match="no attribute 'bench_of_nobody'"):
        leyden.testing.bench_of_nobody  # noqa: B018 - asks for it


# The drift table


def result(step: str, outcome: str = "pass", **facts: Any) -> Result:
    seen = facts.pop("seen", {})
    return Result("lm75", facts.pop("tier", "mock"), step, outcome, seen, {}, **facts)


MOCK = [
    result("probe"),
    result("temperature=1", seen={"temperature": 1.0}, close=0.5),
    result("temperature=2", seen={"temperature": 2.0}, close=0.5),
    result("forgotten", seen={"reason": "device_reset", "afterwards": {"t": "stopped"}}),
]
PART = [
    result("probe"),
    result("temperature=1", seen={"temperature": 1.5}, close=0.5),
    result("temperature=2", "skip", detail="no stimulus"),
    result("forgotten", seen={"reason": "device_reset", "afterwards": {}}),
]
RUNS = {"mock": MOCK, "qemu": PART}


def test_the_table_names_every_difference_and_its_place() -> None:
    text = drift.table(RUNS, {})
    assert "qemu: within one code: temperature 1.5, not 1.0" in text
    assert "qemu: DRIFT, afterwards.t –, not stopped" in text
    assert "qemu: a step of lm75 not run: no stimulus" in text
    assert text.endswith(
        "mock: 4 passed, 0 failed, 0 not run; qemu: 3 passed, 0 failed, 1 not run. "
        "Differences: 0 known, 1 unexplained.\n"
    )


def test_a_known_difference_is_explained_and_no_other() -> None:
    known = {"lm75": (drift.Known("forg*", "q*", "it has no such bit"),)}
    assert drift.unexplained(RUNS, known) == ()
    assert "qemu: known, it has no such bit (afterwards.t" in drift.table(RUNS, known)
    elsewhere = {"lm75": (drift.Known("forg*", "pi-*", "it has no such bit"),)}
    assert drift.unexplained(RUNS, elsewhere) == (
        "lm75 forgotten on qemu: afterwards.t –, not stopped",
    )


def test_a_step_that_fails_on_one_tier_only_is_drift() -> None:
    runs = {"mock": [result("probe")], "pi": [result("probe", "fail", detail="no answer")]}
    assert drift.unexplained(runs, {}) == ("lm75 probe on pi: fail, not pass: no answer",)


def test_a_step_that_fails_everywhere_alike_is_not_explained_by_that() -> None:
    both = [result("probe", "fail", detail="no answer")]
    assert len(drift.unexplained({"mock": both, "pi": both}, {})) == 2


def test_more_than_a_code_apart_is_drift() -> None:
    far = [result("temperature=1", seen={"temperature": 1.6}, close=0.5)]
    assert drift.unexplained({"mock": MOCK[1:2], "pi": far}, {}) == (
        "lm75 temperature=1 on pi: temperature 1.6, not 1.0",
    )


def test_the_command_reads_files_and_fails_on_what_is_unexplained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "mock.jsonl", tmp_path / "pi.jsonl"
    first.write_text("".join(f"{each.line()}\n" for each in MOCK[:2]))
    second.write_text(result("probe", "fail", tier="pi", detail="dead").line() + "\n\n")
    assert drift.main([str(first), str(first)]) == 0
    assert drift.main([str(first), str(second)]) == 1
    assert "pi: DRIFT, fail, not pass: dead" in capsys.readouterr().out


@pytest.mark.parametrize("driver", I2C_DRIVERS)
def test_known_differences_are_read_from_the_drivers_folder(driver: str) -> None:
    for known in drift.known_of(driver):
        assert known.because
        assert known.tier != "mock", "the model itself has nothing to be excused for"


def test_the_real_rig_has_what_the_command_asks_of_it() -> None:
    rig = LinuxRig(SystemExecutor())
    assert rig.i2c("bus", path="/dev/i2c-9").status()["transfers"] == 0
    rig.close()
