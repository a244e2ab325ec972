"""The harness itself: order, medians, ratios, verdicts, and what becomes of a script that fails."""

import json
import os
import select
import sys
from pathlib import Path

import pytest

from . import __main__ as program
from . import harness
from .environments import Environments, build, fingerprint, is_current
from .harness import Sample, ScriptRunner, measure, order
from .report import Budget, Row, Verdict, best_seed, judge, number, read_budgets, rows, table
from .subjects import OTHERS, Role, Subject, leyden
from .workloads import SCRIPTS, Better, Effort, Entry, Figure, Workload, workloads

OURS = leyden("0.1.0")
SEED_A = Subject("alpha", "1", Role.SEED)
SEED_B = Subject("beta", "2", Role.SEED)
BOUND = Subject("bound", "3", Role.BASELINE)
FIGURE = Figure("speed", "events a second", "1/s", Better.HIGHER)
COST = Figure("cost", "milliseconds", "ms", Better.LOWER)
EFFORT = Effort(rounds=3, seconds=0)


def workload(*figures: Figure, timeout_s: float = 10.0, script: str = "x.py") -> Workload:
    entries = tuple(Entry(subject, script) for subject in (OURS, SEED_A, SEED_B, BOUND))
    chosen = figures or (FIGURE,)
    return Workload(chosen[0].name, chosen, entries, EFFORT, EFFORT, timeout_s=timeout_s)


def samples_of(**values: list[float]) -> list[Sample]:
    ids = {"ours": OURS.id, "a": SEED_A.id, "b": SEED_B.id, "bound": BOUND.id}
    return [
        Sample(ids[name], {"speed": value, "cost": value})
        for name, series in values.items()
        for value in series
    ]


def row_of(found: list[Row], subject: Subject, figure: Figure = FIGURE) -> Row:
    return next(row for row in found if row.subject is subject and row.figure is figure)


def quiet(words: str) -> None:
    """Say nothing."""


# Order


def test_subjects_take_turns_in_every_round() -> None:
    names = [(turn, entry.subject.name) for turn, entry in order(workload().entries, 2)]
    assert names == [
        (0, "leyden"), (0, "alpha"), (0, "beta"), (0, "bound"),
        (1, "leyden"), (1, "alpha"), (1, "beta"), (1, "bound"),
    ]  # fmt: skip


def test_a_subject_that_failed_is_not_tried_again_and_the_others_go_on() -> None:
    ran: list[str] = []

    def run(_: Workload, entry: Entry, __: Effort) -> Sample:
        ran.append(entry.subject.name)
        error = "exit 1: broken" if entry.subject is SEED_A else ""
        return Sample(entry.subject.id, {} if error else {"speed": 1.0}, error=error)

    samples = measure(workload(), EFFORT, run, quiet)
    assert ran.count("alpha") == 1
    assert ran.count("leyden") == ran.count("beta") == 3
    assert len(samples) == 10


# Rows


def test_a_row_is_the_median_of_its_rounds_and_keeps_the_spread() -> None:
    row = row_of(rows(workload(), samples_of(ours=[10.0, 90.0, 20.0])), OURS)
    assert (row.value, row.low, row.high) == (20.0, 10.0, 90.0)


def test_ratios_are_to_the_best_seed_and_never_to_a_baseline() -> None:
    found = rows(workload(), samples_of(ours=[600.0], a=[200.0], b=[300.0], bound=[9000.0]))
    ratios = [row.ratio_to_best_seed for row in found]
    assert ratios == [pytest.approx(2.0), pytest.approx(2 / 3), 1.0, pytest.approx(30.0)]


def test_the_best_seed_of_a_cost_is_the_cheapest() -> None:
    found = rows(workload(COST), samples_of(ours=[5.0], a=[20.0], b=[10.0]))
    assert best_seed(COST, found) == 10.0
    assert row_of(found, OURS, COST).ratio_to_best_seed == 0.5


def test_without_a_seed_there_is_no_ratio() -> None:
    found = rows(workload(), samples_of(ours=[600.0], bound=[9000.0]))
    assert row_of(found, OURS).ratio_to_best_seed is None


def test_a_script_that_failed_becomes_a_row_that_says_why() -> None:
    samples = [Sample(SEED_A.id, error="not installed: no wheel for this machine")]
    row = row_of(rows(workload(), samples), SEED_A)
    assert row.value is None
    assert row.error == "not installed: no wheel for this machine"
    assert row.public() == {
        "workload": "speed",
        "subject": "alpha",
        "version": "1",
        "value": None,
        "unit": "1/s",
        "ratio_to_best_seed": None,
    }


def test_a_workload_with_two_figures_gives_rows_of_both() -> None:
    found = rows(workload(FIGURE, COST), samples_of(ours=[4.0], a=[2.0]))
    assert [row.figure.name for row in found] == ["speed"] * 4 + ["cost"] * 4
    assert row_of(found, OURS, COST).ratio_to_best_seed == 2.0


def test_details_keep_the_last_words_and_the_median_of_numbers() -> None:
    said: list[dict[str, object]] = [
        {"does": "warm", "noted": 5}, {"does": "it", "noted": 9}, {"does": "it all", "noted": 7}
    ]  # fmt: skip
    samples = [Sample(OURS.id, {"speed": 1.0, "cost": 2.0}, detail) for detail in said]
    found = rows(workload(FIGURE, COST), samples)
    assert row_of(found, OURS).detail == {"does": "it all", "noted": 7}
    assert row_of(found, OURS, COST).detail == {}
    assert "noted 7" in table(found, [])


# Verdicts


@pytest.mark.parametrize(
    ("budget", "met", "measured"),
    [
        (Budget("speed", "", than="best seed", at_least=2.0), True, 2.0),
        (Budget("speed", "", than="best seed", at_least=2.1), False, 2.0),
        (Budget("speed", "", than="alpha 1", at_least=3.0), True, 3.0),
        (Budget("speed", "", than="bound 3", at_least=0.5), False, 0.1),
        (Budget("speed", "", at_most=600.0), True, 600.0),
        (Budget("speed", "", at_most=599.0), False, 600.0),
        (Budget("speed", "", than="nobody 9", at_least=1.0), None, None),
        (Budget("other", "", at_most=1.0), None, None),
    ],
)
def test_budgets_are_judged(budget: Budget, met: bool | None, measured: float | None) -> None:
    found = rows(workload(), samples_of(ours=[600.0], a=[200.0], b=[300.0], bound=[6000.0]))
    verdict = judge(budget, found)
    assert verdict.met is met
    assert verdict.measured == (None if measured is None else pytest.approx(measured))


def test_a_budget_has_exactly_one_bound() -> None:
    with pytest.raises(ValueError, match="at_least or at_most"):
        Budget("speed", "")
    with pytest.raises(ValueError, match="at_least or at_most"):
        Budget("speed", "", at_least=1.0, at_most=2.0)


def test_every_budget_names_a_figure_and_a_subject_of_the_benchmark() -> None:
    plan = workloads(OURS)
    for budget in read_budgets(program.BUDGETS):
        owner = [each for each in plan if budget.workload in {f.name for f in each.figures}]
        assert len(owner) == 1, budget.workload
        known = {entry.subject.id for entry in owner[0].entries} | {"best seed", ""}
        assert budget.than in known
        assert budget.why


def test_every_script_exists_and_medians_are_of_odd_counts() -> None:
    for each in workloads(OURS):
        for entry in each.entries:
            assert (SCRIPTS / entry.script).is_file(), entry.script
        assert each.full.rounds % 2 == each.quick.rounds % 2 == 1


# Table


def test_the_table_shows_ratio_verdict_baseline_and_error() -> None:
    samples = [
        *samples_of(ours=[600.0], b=[300.0], bound=[9000.0]),
        Sample("alpha 1", error="gone"),
    ]
    found = rows(workload(), samples)
    text = table(found, [judge(Budget("speed", "", than="best seed", at_least=3.0), found)])
    assert "speed: events a second, 1/s, higher is better" in text
    assert "2.00 ×" in text
    assert "MISSED: ≥ 3 × best seed, is 2" in text
    assert "baseline, not a seed" in text
    assert "gone" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.8, "1 234 568"), (345.6, "346"), (34.56, "34.6"), (0.1234, "0.123")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert number(value) == text


def test_a_verdict_without_a_figure_says_so() -> None:
    words = Verdict(Budget("speed", "", at_most=45.0), None, None).words
    assert words == "not measured: ≤ 45"


# Scripts


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptRunner:
    monkeypatch.setattr(harness, "SCRIPTS", tmp_path)
    pythons = {OURS.id: Path(sys.executable)}
    reasons = {SEED_A.id: "no wheel"}
    return ScriptRunner(Environments(pythons, reasons), tmp_path / "scratch")


def run_script(
    runner: ScriptRunner, folder: Path, code: str, subject: Subject = OURS, timeout_s: float = 10.0
) -> Sample:
    (folder / "x.py").write_text(code)
    plan = workload(FIGURE, COST, timeout_s=timeout_s)
    return runner(plan, Entry(subject, "x.py", ("subscribers=1",)), Effort(1, 0.25))


def test_a_script_reports_through_the_gauge(runner: ScriptRunner, tmp_path: Path) -> None:
    code = (
        "from gauge import option, report\n"
        "report(option('seconds', 9), '1/s', also={'cost': option('subscribers', 9)}, does='it')"
    )
    sample = run_script(runner, tmp_path, code)
    assert sample.error == ""
    assert sample.figures == {"speed": 0.25, "cost": 1.0}
    assert sample.detail == {"does": "it"}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise ValueError('the sink is broken')", "exit 1: ValueError: the sink is broken"),
        ("from gauge import confirm; confirm(False, '3 of 4 arrived')", "exit 1: 3 of 4 arrived"),
        ("pass", "did not print a result: IndexError list index out of range"),
        ('print(\'{"value": 1, "also": {}}\')', "did not print a result: KeyError 'cost'"),
        ("import os; os.kill(os.getpid(), 9)", "exit -9: it said nothing"),
    ],
)
def test_a_script_that_goes_wrong_is_an_error_in_words(
    runner: ScriptRunner, tmp_path: Path, code: str, error: str
) -> None:
    assert run_script(runner, tmp_path, code).error == error


def test_a_subject_without_environment_is_an_error_in_words(
    runner: ScriptRunner, tmp_path: Path
) -> None:
    assert run_script(runner, tmp_path, "pass", SEED_A).error == "not installed: no wheel"


def test_a_script_out_of_time_is_ended_with_its_children(
    runner: ScriptRunner, tmp_path: Path
) -> None:
    note = tmp_path / "child"
    code = (
        "import pathlib, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n"
        "child.wait()"
    )
    sample = run_script(runner, tmp_path, code, timeout_s=1.0)
    assert sample.error == "did not end within 1 s"
    assert gone(int(note.read_text()))


def gone(pid: int) -> bool:
    """Wait until a process has ended, at most two seconds; return whether it has."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 2.0)[0])
    finally:
        os.close(descriptor)


# Environments


def test_an_environment_is_current_only_with_its_own_pins(tmp_path: Path) -> None:
    subject = Subject("alpha", "1", Role.SEED, ("alpha==1",))
    assert not is_current(tmp_path, subject)
    (tmp_path / "pins.sha256").write_text(fingerprint(subject))
    assert is_current(tmp_path, subject)
    assert not is_current(tmp_path, Subject("alpha", "1", Role.SEED, ("alpha==1", "more==2")))


def test_an_environment_that_cannot_be_made_says_why_and_leaves_no_stamp(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    reason = build(blocked / "env", SEED_A)
    assert "NotADirectoryError" in reason
    assert not is_current(blocked / "env", SEED_A)


def test_every_pin_names_one_version() -> None:
    for subject in OTHERS:
        assert f"{subject.name}=={subject.version}" in subject.pins
        assert all("==" in pin for pin in subject.pins)


# Program


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A benchmark whose scripts all say 1.0, writing below `tmp_path`."""
    names = {figure.name for each in workloads(OURS) for figure in each.figures}
    monkeypatch.setattr(program, "BUILD", tmp_path)
    monkeypatch.setattr(program, "prepare", lambda *_: Environments())
    monkeypatch.setattr(
        program,
        "ScriptRunner",
        lambda *_: lambda __, entry, ___: Sample(entry.subject.id, dict.fromkeys(names, 1.0)),
    )
    (tmp_path / "bench").mkdir()
    return tmp_path


def test_the_json_has_a_row_for_each_workload_and_subject(measured: Path) -> None:
    assert program.main(["--quick"]) == 0
    written = json.loads((measured / "bench.json").read_text())
    assert list(written) == ["rows"]
    fields = {"workload", "subject", "version", "value", "unit", "ratio_to_best_seed"}
    assert all(set(row) == fields for row in written["rows"])
    ours = {row["workload"] for row in written["rows"] if row["subject"] == "leyden"}
    named = "publish_1 publish_10 capacitor log frames latest import boot rss"
    assert set(named.split()) <= ours


def test_a_missed_budget_fails_only_when_asked_to(measured: Path) -> None:
    assert program.main(["--quick", "--only", "publish_1"]) == 0
    assert program.main(["--quick", "--only", "publish_1", "--strict"]) == 1
    assert program.main(["--quick", "--only", "rss", "--strict"]) == 0


def test_json_goes_to_standard_output(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.main(["--quick", "--only", "latest", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((measured / "bench.json").read_text())


def test_the_environment_variable_makes_it_quick(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUICK", "1")
    assert program._parse([]).quick
    monkeypatch.setenv("QUICK", "0")
    assert not program._parse([]).quick


def test_an_unknown_workload_is_refused_by_name(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        program.main(["--only", "speed"])
    assert refused.value.code == 2
    assert "found workload speed, expected one of publish_1" in capsys.readouterr().err


def test_an_interrupt_ends_with_130_and_writes_nothing(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> list[Sample]:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "measure", interrupted)
    assert program.main(["--quick"]) == 130
    assert not (measured / "bench.json").exists()
