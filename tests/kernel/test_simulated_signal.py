"""Signals in simulated time: who waits, who is woken, and what stays behind."""

from leyden.kernel import SimulatedExecutor
from leyden.kernel.executor import _SimulatedSignal


def test_waits_that_run_out_of_time_leave_nothing_behind() -> None:
    executor = SimulatedExecutor()
    signal = executor.signal()
    assert isinstance(signal, _SimulatedSignal)

    def wait_again_and_again() -> None:
        for _ in range(100):
            signal.wait(1.0)

    executor.start_lane("waiter", wait_again_and_again)
    executor.run_for(90)
    assert len(signal._waiters) == 1  # the wait that is going on
    executor.run_for(20)
    assert signal._waiters == []
    executor.close()


def test_a_wait_that_runs_out_of_time_does_not_lose_the_others() -> None:
    executor = SimulatedExecutor()
    signal, woken = executor.signal(), []
    executor.start_lane("patient", lambda: woken.append(signal.wait(60.0)))
    executor.start_lane("hasty", lambda: woken.append(signal.wait(1.0)))
    executor.run_for(10)
    assert woken == [False]
    signal.set()
    executor.run_for(1)
    assert woken == [False, True]
    executor.close()
