"""Boot as a transaction, shutdown from anywhere, components added and removed while running."""

from __future__ import annotations

import os
import signal
import socket
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kernel.parts import Listener, Rig, Thermometer, Ticker

from leyden.kernel import (
    BootError,
    CancelledWaitError,
    ComponentError,
    Context,
    Delivery,
    DeviceState,
    DuplicateError,
    Event,
    Interface,
    LeydenError,
    Notifier,
    Placement,
    Process,
    Route,
    Runtime,
    Service,
    Signal,
)


def test_boot_starts_devices_processes_interfaces_services_and_shutdown_is_the_exact_reverse(
    rig: Rig,
) -> None:
    order: list[str] = []

    class Noting(Process):
        def __init__(self, name: str) -> None:
            self.name = name

        def start(self, ctx: Context) -> None:
            order.append(f"+{self.name}")

        def stop(self, ctx: Context) -> None:
            order.append(f"-{self.name}")

    class Face(Noting, Interface):
        pass

    air, soil, ticker = Thermometer(), Thermometer(), Ticker()
    for name, device in (("air", air), ("soil", soil)):
        device.before["start"] = partial(order.append, f"+{name}")
        device.before["stop"] = partial(order.append, f"-{name}")
    ticker.on_start = lambda ctx: order.append("+ticker")
    ticker.on_stop = lambda ctx: order.append("-ticker")
    rig.runtime.add_service(ticker)
    rig.runtime.add_interface(Face("panel"))
    rig.runtime.add_process(Noting("p1"))
    rig.runtime.add_process(Noting("p2"))
    rig.runtime.add_device(air, "air")
    rig.runtime.add_device(soil, "soil")
    rig.runtime.boot()
    rig.run_for(1)
    rig.runtime.shutdown()
    up = ["+air", "+soil", "+p1", "+p2", "+panel", "+ticker"]
    assert order == up + [name.replace("+", "-") for name in reversed(up)]
    assert rig.routes("runtime.") == [
        "runtime.booting",
        "runtime.booted",
        "runtime.shutting_down",
        "runtime.shutdown",
    ]


def test_identity_is_the_first_event_of_a_boot() -> None:
    rig = Rig(identity=lambda: {"serial": "absent"})
    rig.runtime.boot()
    assert rig.events[0].route == "runtime.identity"
    assert rig.events[0].value == {"serial": "absent"}
    rig.close()


def test_a_failed_boot_is_undone_in_reverse_and_names_the_component(rig: Rig) -> None:
    air = Thermometer()
    first, bad = Listener("first"), Listener("bad")
    bad.start = lambda ctx: (_ for _ in ()).throw(RuntimeError("no port"))  # type: ignore[method-assign]
    rig.runtime.add_device(air, "air")
    rig.runtime.add_process(first)
    rig.runtime.add_process(bad)
    with pytest.raises(BootError, match="process bad failed at boot: no port") as caught:
        rig.runtime.boot()
    assert caught.value.component == "process bad"
    assert not rig.runtime.booted
    assert air.calls[-1] == "stop"
    assert first.calls == ["start", "stop"]
    assert rig.routes("runtime.")[-1] == "runtime.shutdown"


def test_a_runtime_boots_again_after_a_shutdown_and_after_a_failed_boot(rig: Rig) -> None:
    air, ticker = Thermometer(), Ticker()
    rig.runtime.add_device(air, "air")
    rig.runtime.add_service(ticker)
    for _ in range(2):
        rig.runtime.boot()
        rig.run_for(2)
        rig.runtime.shutdown()
    assert air.calls.count("start") == ticker.calls.count("start") == 2
    assert air.calls.count("stop") == ticker.calls.count("stop") == 2
    ticks = len(ticker.ticks)
    rig.run_for(10)
    assert len(ticker.ticks) == ticks  # nothing is left running


def test_a_second_boot_while_running_is_refused(rig: Rig) -> None:
    rig.runtime.boot()
    with pytest.raises(LeydenError, match="running already"):
        rig.runtime.boot()


def test_duplicates_and_nameless_components_are_refused(rig: Rig) -> None:
    rig.runtime.add_process(Listener("one"))
    with pytest.raises(DuplicateError, match='"one" is taken by a process'):
        rig.runtime.add_service(Ticker("one"))
    with pytest.raises(ComponentError, match='found service name ""'):
        rig.runtime.add_service(Ticker(""))
    with pytest.raises(ComponentError, match="found device name"):
        rig.runtime.add_device(Thermometer(), "Air Sensor")


def test_a_component_that_lacks_a_method_is_refused_by_its_name(rig: Rig) -> None:
    class NoHandle:
        name = "odd"

        def start(self, ctx: Context) -> None: ...

    with pytest.raises(ComponentError, match=r"lacks handle, stop\(\)"):
        rig.runtime.add_process(NoHandle())  # type: ignore[arg-type]


def test_components_come_and_go_while_running_with_the_same_lifecycle(rig: Rig) -> None:
    rig.runtime.boot()
    air, listener, ticker = Thermometer(), Listener("late", "air."), Ticker()
    rig.runtime.add_device(air, "air")
    rig.runtime.add_process(listener)
    rig.runtime.add_service(ticker)
    rig.run_for(2.5)
    assert listener.calls == ["start"]
    assert listener.routes().count("air.temperature") == 3
    assert len(ticker.ticks) == 3
    for name in ("air", "late", "ticker"):
        rig.runtime.remove(name)
    assert air.calls[-1] == listener.calls[-1] == ticker.calls[-1] == "stop"
    heard = len(listener.heard)
    rig.run_for(5)
    assert len(listener.heard) == heard
    assert rig.runtime.devices() == () == rig.runtime.services()
    with pytest.raises(ComponentError, match='no component "air"'):
        rig.runtime.remove("air")


def test_a_removed_name_can_be_used_again(rig: Rig) -> None:
    rig.runtime.boot()
    rig.runtime.add_service(Ticker("one"))
    rig.runtime.remove("one")
    rig.runtime.add_service(Ticker("one"))
    rig.run_for(1)
    assert rig.runtime.services()[0].state == "running"


def ask(runtime: Runtime) -> None:
    runtime.request_shutdown("asked", exit_code=3)


def test_shutdown_may_be_asked_for_from_a_tick(rig: Rig) -> None:
    ticker = Ticker()
    ticker.on_tick = lambda ctx: ask(ctx.runtime)
    rig.runtime.add_service(ticker)
    assert rig.runtime.run() == 3
    assert ticker.calls == ["start", "stop"]
    assert rig.of("runtime.shutting_down")[0].value == {"reason": "asked"}


def test_shutdown_may_be_asked_for_from_a_handler(rig: Rig) -> None:
    class Ender(Listener):
        def handle(self, ctx: Context, event: object) -> None:
            ask(ctx.runtime)

    rig.runtime.add_process(Ender("ender", "runtime.booted"))
    assert rig.runtime.run() == 3


def test_shutdown_may_be_asked_for_from_an_inline_subscriber(rig: Rig) -> None:
    from leyden.kernel import Delivery

    rig.runtime.events.subscribe(
        lambda event: ask(rig.runtime),
        name="ender",
        prefix="runtime.booted",
        delivery=Delivery.INLINE,
    )
    assert rig.runtime.run() == 3


def test_shutdown_may_be_asked_for_from_another_thread() -> None:
    runtime = Runtime("threads")
    booted = threading.Event()

    class Herald(Process):
        name = "herald"
        prefixes = ("runtime.booted",)

        def handle(self, ctx: Context, event: object) -> None:
            booted.set()

    runtime.add_process(Herald())
    codes: list[int] = []
    runner = threading.Thread(target=lambda: codes.append(runtime.run()))
    runner.start()
    assert booted.wait(10)
    ask(runtime)
    runner.join(10)
    assert codes == [3]


def test_shutdown_twice_and_before_boot_is_harmless(rig: Rig) -> None:
    rig.runtime.shutdown()
    rig.runtime.boot()
    rig.runtime.shutdown()
    rig.runtime.shutdown()
    assert rig.routes("runtime.").count("runtime.shutdown") == 1


def test_a_stop_that_raises_keeps_nothing_else_from_stopping(rig: Rig) -> None:
    air, ticker = Thermometer(), Ticker()
    good, bad = Listener("good"), Listener("bad")

    def fail(ctx: Context) -> None:
        raise RuntimeError("will not stop")

    bad.stop = fail  # type: ignore[method-assign]
    ticker.on_stop = fail
    air.fail["stop"] = RuntimeError("will not stop")
    rig.runtime.add_device(air, "air")
    rig.runtime.add_process(good)
    rig.runtime.add_process(bad)
    rig.runtime.add_service(ticker)
    rig.runtime.boot()
    rig.run_for(1)
    rig.runtime.shutdown()
    assert good.calls[-1] == air.calls[-1] == "stop"
    assert rig.routes("runtime.")[-1] == "runtime.shutdown"
    assert rig.of("process.bad.error")[0].detail == "RuntimeError: will not stop"


def test_a_hung_stop_or_tick_does_not_hold_a_shutdown_past_its_deadline(rig: Rig) -> None:
    never = rig.executor.signal()

    def hang(*_: object) -> None:
        never.wait()

    stuck_tick, stuck_stop = Ticker("stuck_tick"), Ticker("stuck_stop")
    stuck_tick.on_tick = stuck_stop.on_stop = hang
    stuck = Listener("stuck")
    stuck.stop = hang  # type: ignore[assignment, method-assign]
    air = Thermometer()
    air.before["stop"] = hang
    soil = Thermometer()
    rig.runtime.add_device(soil, "soil")
    rig.runtime.add_device(air, "air")
    rig.runtime.add_process(stuck)
    rig.runtime.add_service(stuck_tick)
    rig.runtime.add_service(stuck_stop)
    rig.runtime.boot()
    rig.run_for(3)
    before = rig.executor.clock.monotonic_ns()
    rig.runtime.shutdown()
    took = (rig.executor.clock.monotonic_ns() - before) / 1e9
    assert took <= 8.0  # 2 s a service, 1 s the process, 2 s the device and its lane
    assert soil.calls[-1] == "stop"
    assert rig.routes("runtime.")[-1] == "runtime.shutdown"
    assert rig.of("service.stuck_tick.stuck")
    assert rig.of("process.stuck.stuck")


def test_a_hung_read_is_given_up_and_other_devices_go_on(rig: Rig) -> None:
    never = rig.executor.signal()
    air, soil = Thermometer(), Thermometer()
    rig.runtime.add_device(air, "air")
    rig.runtime.add_device(soil, "soil")
    rig.runtime.boot()
    rig.run_for(2.5)
    air.before["read"] = never.wait
    hung_at = rig.executor.clock.monotonic_ns()
    rig.run_for(3.0)
    bad = next(event for event in rig.of("air.temperature") if event.mono > hung_at)
    assert bad.value is None
    assert (bad.mono - hung_at) / 1e9 <= 3.0
    assert len([e for e in rig.of("soil.temperature") if e.mono > hung_at]) == 3
    del air.before["read"]
    rig.run_for(6)
    assert rig.of("air.temperature")[-1].value == 21.4
    assert rig.runtime.devices()[0].state is DeviceState.ONLINE
    count = len(rig.of("air.temperature"))
    never.set()  # the abandoned call returns at last: its result must not be published
    rig.run_for(0.01)
    assert len(rig.of("air.temperature")) == count


def test_threads_given_up_on_one_bus_are_bounded(rig: Rig) -> None:
    never = rig.executor.signal()
    air = Thermometer()
    air.before["probe"] = never.wait
    rig.runtime.add_device(air, "air")
    rig.runtime.boot()
    rig.run_for(600)
    assert air.calls.count("probe") == 3
    del air.before["probe"]
    never.set()
    rig.run_for(10)
    assert rig.of("air.temperature")[-1].value == 21.4


def test_the_context_manager_boots_and_shuts_down_with_the_reason(rig: Rig) -> None:
    def use() -> None:
        with rig.runtime:
            assert rig.runtime.booted
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        use()
    assert rig.of("runtime.shutting_down")[0].value == {"reason": "ValueError: broken"}


def test_hooks_are_called_around_the_devices() -> None:
    calls: list[str] = []

    class Mine(Runtime):
        def on_boot(self) -> None:
            calls.append("boot")

        def on_shutdown(self, reason: str) -> None:
            calls.append(f"shutdown {reason}")

    runtime = Mine("mine")
    air = Thermometer()
    air.before["probe"] = lambda: calls.append("probe")
    air.before["stop"] = lambda: calls.append("stop")
    runtime.add_device(air, "air")
    runtime.boot()
    runtime.shutdown("done")
    assert calls == ["boot", "probe", "stop", "shutdown done"]


def test_a_user_route_may_not_begin_with_a_reserved_word(rig: Rig) -> None:
    with pytest.raises(ValueError, match='reserved word "device"'):
        rig.runtime.events.declare(Route.of("device.mine"))


def test_the_service_manager_hears_ready_watchdog_and_stopping(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(10)
        notifier = Notifier({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "30000"})
        runtime = Runtime("notify", notifier=notifier)
        runner = threading.Thread(target=runtime.run)
        runner.start()
        heard = [sock.recv(200).decode().splitlines()[0] for _ in range(3)]
        runtime.request_shutdown("enough")
        runner.join(10)
        while heard[-1] != "STOPPING=1":
            heard.append(sock.recv(200).decode().splitlines()[0])
    assert heard[0] == "READY=1"
    assert heard[1] == heard[2] == "WATCHDOG=1"


def test_without_a_notify_socket_or_with_a_dead_one_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).ready("up")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("up")
    assert Notifier({"WATCHDOG_USEC": "x"}).watchdog_s is None
    assert Notifier({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}).watchdog_s is None


def test_a_simulated_hour_run_twice_gives_one_digest() -> None:
    import hashlib

    def hour() -> str:
        rig = Rig()
        air, flaky, ticker = Thermometer(), Thermometer(), Ticker(period_s=0.7)

        def wander(ctx: Context) -> None:
            air.value = 20 + (ctx.clock.monotonic_ns() % 7_000_000_000) / 1e9
            flaky.present = ctx.clock.monotonic_ns() % 90_000_000_000 < 80_000_000_000
            if len(ticker.ticks) % 500 == 499:
                raise RuntimeError("now and then")

        ticker.on_tick = wander
        rig.runtime.add_device(air, "air")
        rig.runtime.add_device(flaky, "flaky")
        rig.runtime.add_process(Listener())
        rig.runtime.add_service(ticker)
        rig.runtime.boot()
        rig.run_for(3600)
        rig.close()
        digest = hashlib.sha256()
        for event in rig.events:
            digest.update(repr(event).encode())
        assert len(rig.events) > 7000
        return digest.hexdigest()

    assert hour() == hour()


def test_a_closed_executor_ends_every_lane() -> None:
    rig = Rig()
    ended: list[str] = []

    def wait() -> None:
        try:
            rig.executor.clock.sleep(1e6)
        except CancelledWaitError:
            ended.append("ended")
            raise

    rig.executor.start_lane("sleeper", wait)
    rig.run_for(1)
    rig.executor.close()
    assert ended == ["ended"]


def test_services_are_listed_with_state_and_figures(rig: Rig) -> None:
    rig.runtime.add_service(Ticker())
    rig.runtime.boot()
    rig.run_for(4.5)
    status = rig.runtime.services()[0]
    assert (status.name, status.state, status.timing.turns) == ("ticker", "running", 5)
    assert status.timing.lateness_p99_ms == 0.0


def test_a_service_without_a_period_only_starts_and_stops(rig: Rig) -> None:
    class Holder(Service):
        name = "holder"
        period_s = 0.0
        calls: list[str] = []  # noqa: RUF012 - one instance

        def start(self, ctx: Context) -> None:
            self.calls.append("start")

        def stop(self, ctx: Context) -> None:
            self.calls.append("stop")

    rig.runtime.add_service(Holder())
    rig.runtime.boot()
    rig.run_for(100)
    assert Holder.calls == ["start"]
    rig.runtime.shutdown()
    assert Holder.calls == ["start", "stop"]


def test_a_refused_component_leaves_its_name_free(rig: Rig) -> None:
    class Channelless(Thermometer):
        reading = None  # type: ignore[assignment]  # the point

    with pytest.raises(ComponentError, match="neither `reading`"):
        rig.runtime.add_device(Channelless(), "air")
    rig.runtime.add_device(Thermometer(), "air")


def test_a_process_that_cannot_start_while_running_is_not_added(rig: Rig) -> None:
    def refuse(ctx: Context) -> None:
        raise OSError("port taken")

    bad = Listener("ears")
    bad.start = refuse  # type: ignore[method-assign]
    rig.runtime.boot()
    with pytest.raises(OSError, match="port taken"):
        rig.runtime.add_process(bad)
    good = Listener("ears")
    rig.runtime.add_process(good)
    rig.run_for(1)
    assert good.calls == ["start"]
    assert bad.calls == []


def test_what_is_added_during_boot_is_started_like_the_rest(rig: Rig) -> None:
    air, ears, ticker = Thermometer(), Listener("ears", "air."), Ticker("late")

    class Discovery(Process):
        name = "discovery"

        def start(self, ctx: Context) -> None:
            ctx.runtime.add_device(air, "air")
            ctx.runtime.add_process(ears)
            ctx.runtime.add_service(ticker)

    rig.runtime.add_process(Discovery())
    rig.runtime.boot()
    rig.run_for(2.5)
    rig.runtime.shutdown()
    assert len(rig.of("air.temperature")) == 4  # three values, and that it was stopped
    assert [len(ticker.ticks), *ticker.calls] == [3, "start", "stop"]
    assert ears.calls == ["start", "stop"]
    assert len(ears.heard) >= 3


def test_two_removals_of_one_component_at_once_are_one(rig: Rig) -> None:
    rig.runtime.add_process(Listener("ears"))
    ears = rig.runtime._reactors["ears"].process
    refused: list[str] = []

    def remove_again(ctx: Context) -> None:
        try:
            rig.runtime.remove("ears")
        except ComponentError as error:
            refused.append(str(error))

    ears.stop = remove_again  # type: ignore[method-assign]
    rig.runtime.boot()
    rig.runtime.remove("ears")
    assert refused == ['no component "ears"; there is ears']
    rig.runtime.add_process(Listener("ears"))


def test_a_process_is_not_stopped_while_it_still_handles_an_event(rig: Rig) -> None:
    order: list[str] = []

    class Slow(Process):
        name = "slow"
        prefixes = ("runtime.booted",)

        def handle(self, ctx: Context, event: object) -> None:
            order.append("handle")
            ctx.clock.sleep(0.5)
            order.append("handled")

        def stop(self, ctx: Context) -> None:
            order.append("stop")

    rig.runtime.add_process(Slow())
    rig.runtime.boot()
    rig.run_for(0.1)
    rig.runtime.shutdown()
    assert order == ["handle", "handled", "stop"]


def test_a_process_may_remove_itself_from_its_own_handler(rig: Rig) -> None:
    class Once(Listener):
        def handle(self, ctx: Context, event: Event) -> None:
            ctx.runtime.remove("once")

    once = Once("once", "runtime.booted")
    rig.runtime.add_process(once)
    rig.runtime.boot()
    rig.run_for(3)
    assert once.calls == ["start", "stop"]
    assert rig.routes("process.once") == ["process.once.started", "process.once.stopped"]


def test_a_process_that_only_fails_says_when_it_is_given_no_more(rig: Rig) -> None:
    class Broken(Process):
        name = "broken"
        prefixes = ("air.",)

        def handle(self, ctx: Context, event: object) -> None:
            raise RuntimeError("broken")

    rig.runtime.add_device(Thermometer(), "air")
    rig.runtime.add_process(Broken())
    rig.runtime.boot()
    rig.run_for(40)
    reports = rig.of("process.broken.error")
    assert [report.value["quarantined"] for report in reports] == [False, True]


@pytest.mark.parametrize("threads", [1, 4])
def test_shutdowns_at_once_are_one_and_run_returns_whoever_called(threads: int) -> None:
    runtime, air, booted = Runtime("many"), Thermometer(), threading.Event()
    ended: list[str] = []
    runtime.add_device(air, "air")
    events = runtime.events
    events.subscribe(
        lambda event: booted.set(), name="b", prefix="runtime.booted", delivery=Delivery.INLINE
    )
    events.subscribe(
        lambda event: ended.append(event.route),
        name="e",
        prefix="runtime.shut",
        delivery=Delivery.INLINE,
    )
    codes: list[int] = []
    runner = threading.Thread(target=lambda: codes.append(runtime.run()))
    runner.start()
    assert booted.wait(10)
    callers = [threading.Thread(target=runtime.shutdown) for _ in range(threads)]
    for each in callers:
        each.start()
    for each in [*callers, runner]:
        each.join(10)
    assert codes == [0]
    assert ended == ["runtime.shutting_down", "runtime.shutdown"]
    assert air.calls.count("stop") == 1


def test_a_service_that_shuts_the_runtime_down_from_its_tick_ends_the_run(rig: Rig) -> None:
    ticker, air = Ticker(), Thermometer()
    ticker.on_tick = lambda ctx: ctx.runtime.shutdown("battery low")
    rig.runtime.add_service(ticker)
    rig.runtime.add_device(air, "air")
    assert rig.runtime.run() == 0
    assert (ticker.calls[-1], air.calls[-1]) == ("stop", "stop")
    assert rig.of("runtime.shutting_down")[0].value == {"reason": "battery low"}
    assert not rig.of("service.ticker.stuck")


def test_a_shutdown_asked_for_before_boot_is_not_forgotten(rig: Rig) -> None:
    air = Thermometer()
    rig.runtime.add_device(air, "air")
    rig.runtime.request_shutdown("signal SIGTERM", 4)
    assert rig.runtime.run() == 4
    assert air.calls == []
    assert rig.runtime.devices()[0].state is DeviceState.ABSENT


def test_a_shutdown_asked_for_during_boot_does_not_wait_for_the_rest_of_it(rig: Rig) -> None:
    never = rig.executor.signal()
    for i in range(10):
        device = Thermometer()
        device.before["probe"] = never.wait
        rig.runtime.add_device(device, f"d{i}")

    def soon() -> None:
        rig.executor.clock.sleep(1)
        rig.runtime.request_shutdown("enough")

    rig.executor.start_lane("soon", soon)
    assert rig.runtime.run() == 0
    assert rig.executor.clock.monotonic_ns() / 1e9 <= 3.0
    assert not rig.of("runtime.booted")


def test_an_interrupt_from_the_keyboard_stops_the_devices_too() -> None:
    class Interrupted(Runtime):
        def on_boot(self) -> None:
            raise KeyboardInterrupt

    air = Thermometer()
    runtime = Interrupted("keys")
    runtime.add_device(air, "air")
    assert runtime.run() == 0
    assert runtime.events.latest("runtime.shutdown") is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_main_thread_is_a_request_to_stop(number: signal.Signals) -> None:
    runtime, air = Runtime("signals"), Thermometer()
    runtime.add_device(air, "air")
    before = signal.getsignal(number)
    runtime.events.subscribe(
        lambda event: os.kill(os.getpid(), number),
        name="killer",
        prefix="runtime.booted",
        delivery=Delivery.INLINE,
    )
    assert runtime.run() == 0
    assert air.calls[-1] == "stop"
    ending = runtime.events.latest("runtime.shutting_down")
    assert ending is not None
    assert ending.value == {"reason": f"signal {number.name}"}
    assert signal.getsignal(number) is before


def test_a_signal_handler_of_the_programs_own_is_left_alone() -> None:
    runtime, heard = Runtime("signals"), list[int]()

    def mine(number: int, frame: object) -> None:
        heard.append(number)
        runtime.request_shutdown("mine", 5)

    before = signal.signal(signal.SIGTERM, mine)
    try:
        runtime.events.subscribe(
            lambda event: os.kill(os.getpid(), signal.SIGTERM),
            name="killer",
            prefix="runtime.booted",
            delivery=Delivery.INLINE,
        )
        assert runtime.run() == 5
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


@pytest.mark.parametrize("hook", ["identity", "on_boot"])
def test_an_identity_or_hook_that_fails_is_a_failed_boot(hook: str) -> None:
    def broken() -> None:
        raise RuntimeError("no such board")

    runtime = Runtime("broken", identity=broken if hook == "identity" else None)
    runtime.on_boot = broken  # type: ignore[method-assign]
    with pytest.raises(BootError, match=f"{hook} failed at boot: no such board"):
        runtime.run()
    runtime.on_boot = lambda: None  # type: ignore[method-assign]
    runtime._identity = None
    runtime.boot()
    runtime.shutdown()


def test_a_hook_that_fails_at_shutdown_is_told_after_everything_has_stopped() -> None:
    class Mine(Runtime):
        def on_shutdown(self, reason: str) -> None:
            raise RuntimeError("cannot say goodbye")

    runtime, air = Mine("mine"), Thermometer()
    runtime.add_device(air, "air")
    runtime.boot()
    with pytest.raises(RuntimeError, match="goodbye"):
        runtime.shutdown()
    assert air.calls[-1] == "stop"
    assert runtime.events.latest("runtime.shutdown") is not None
    assert not runtime.booted


def test_a_service_manager_that_does_not_read_holds_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        notifier = Notifier({"NOTIFY_SOCKET": str(path)})
        for _ in range(2000):  # more than net.unix.max_dgram_qlen, 10 to 512
            notifier.watchdog()
        assert manager.recv(100) == b"WATCHDOG=1"


def test_a_status_cannot_carry_a_field_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        Notifier({"NOTIFY_SOCKET": str(path)}).stopping("bye\nMAINPID=1")
        assert manager.recv(100) == b"STOPPING=1\nSTATUS=bye MAINPID=1"


@pytest.mark.parametrize("text", ["0", "-5", "soon"])
def test_a_watchdog_interval_that_is_none_asks_for_no_watchdog(text: str) -> None:
    assert Notifier({"WATCHDOG_USEC": text}).watchdog_s is None


def test_a_lane_started_while_the_executor_closes_ends_too() -> None:
    rig = Rig()
    ended: list[str] = []

    def unwind() -> None:
        try:
            rig.executor.clock.sleep(1e6)
        finally:
            rig.executor.start_lane("last", lambda: ended.append("never"))

    rig.executor.start_lane("sleeper", unwind)
    rig.run_for(1)
    rig.executor.close()
    assert ended == []
    assert not [each for each in threading.enumerate() if each.name in ("sleeper", "last")]


@pytest.mark.parametrize(
    ("seam", "words"),
    [
        ({"executor": object()}, r"is no executor: it lacks start_lane, signal\(\)"),
        ({"store": object()}, r"is no store: it lacks append, commit, .*read\(\)"),
        ({"notifier": object()}, r"is no notifier: it lacks ready, watchdog, stopping\(\)"),
    ],
)
def test_a_replacement_that_does_not_fit_is_refused_with_what_it_lacks(
    seam: dict[str, Any], words: str
) -> None:
    with pytest.raises(ComponentError, match=words):
        Runtime("parts", **seam)


def test_the_watchdog_is_fed_only_while_the_lanes_are_watched(rig: Rig) -> None:
    class Manager(Notifier):
        watchdog_s = 3.0

        def __init__(self) -> None:
            self.fed: list[int] = []

        def ready(self, status: str) -> None: ...

        def stopping(self, status: str) -> None: ...

        def watchdog(self) -> None:
            self.fed.append(rig.executor.clock.monotonic_ns() // 10**9)

    never, manager = rig.executor.signal(), Manager()
    runtime = Runtime("watched", executor=rig.executor, notifier=manager)
    wire, air = Blocking(never), Thermometer()
    runtime.add_device(air, "air", transport=wire)

    def course() -> None:
        rig.executor.clock.sleep(10)
        air.before["read"] = never.wait  # the overseer gives up on it, and hangs itself
        rig.executor.clock.sleep(20)
        runtime.request_shutdown("enough")

    rig.executor.start_lane("course", course)
    assert runtime.run() == 0
    assert 9 <= max(manager.fed) <= 14


class Blocking:
    """A bus that takes whoever wants to open it again down with it."""

    name = "i2c1"

    def __init__(self, never: Signal) -> None:
        self._never = never

    def allow(self, holder: str, until_ns: int) -> None: ...

    def release(self) -> None: ...

    def abandon(self) -> str:
        self._never.wait()
        return ""

    def status(self) -> dict[str, Any]:
        return {}


def test_an_idle_appliance_wakes_nobody(rig: Rig) -> None:
    rig.runtime.add_process(Listener("ears", "air."))
    rig.runtime.add_service(Ticker("hourly", 3600))
    rig.runtime.boot()
    rig.run_for(1)
    turns = rig.executor._order
    rig.run_for(3000)
    assert rig.executor._order == turns


def test_who_listens_and_what_is_stored_go_on_through_a_second_boot(rig: Rig) -> None:
    for _ in range(2):
        rig.runtime.boot()
        rig.runtime.shutdown()
    assert rig.routes("runtime.") == [
        "runtime.booting", "runtime.booted", "runtime.shutting_down", "runtime.shutdown",
    ] * 2  # fmt: skip
    stored = rig.runtime.events.read(0).records
    assert [record.n for record in stored] == list(range(1, 9))


def test_a_device_that_others_need_starts_before_them_whatever_the_order(rig: Rig) -> None:
    order: list[str] = []
    mux, leaf = Thermometer(), Thermometer()
    mux.before["start"] = partial(order.append, "mux")
    leaf.before["start"] = partial(order.append, "leaf")
    rig.runtime.add_device(leaf, "leaf", place=Placement("leaf", needs=("mux",)))
    rig.runtime.add_device(mux, "mux")
    rig.runtime.boot()
    rig.runtime.remove("mux")  # and what needs it is not read for what it is not
    rig.run_for(2)
    assert order == ["mux", "leaf"]
    assert rig.of("leaf.temperature")[-1].detail == "waits for mux"


def test_what_a_component_publishes_carries_its_name(rig: Rig) -> None:
    ticker = Ticker()
    ticker.on_start = lambda ctx: ctx.events.declare(Route.of("mood.level"))
    ticker.on_tick = lambda ctx: ctx.publish("mood.level", 1.0)
    rig.runtime.add_service(ticker)
    rig.runtime.boot()
    rig.run_for(0.5)
    assert rig.of("mood.level")[0].source == "service.ticker"


@pytest.mark.parametrize("delay_s", [0.0, 0.005, 0.02])
def test_what_is_added_while_the_runtime_ends_never_outlives_it(delay_s: float) -> None:
    runtime, booted, over = Runtime("rush"), threading.Event(), threading.Event()
    refused: list[Exception] = []
    runtime.events.subscribe(
        lambda event: booted.set(), name="b", prefix="runtime.booted", delivery=Delivery.INLINE
    )

    def add() -> None:
        try:
            for i in range(40):
                runtime.add_device(Thermometer(), f"d{i}", every_s=0.01)
                runtime.add_process(Listener(f"p{i}", "air."))
                runtime.add_service(Ticker(f"s{i}", 0.01))
        except LeydenError as error:
            refused.append(error)

    before = set(threading.enumerate())
    runner = threading.Thread(target=runtime.run)
    runner.start()
    assert booted.wait(10)
    adder = threading.Thread(target=add)
    adder.start()
    over.wait(delay_s)
    runtime.request_shutdown("enough")
    for each in (runner, adder):
        each.join(20)
    for lane in set(threading.enumerate()) - before:
        lane.join(5)
    assert refused == []
    assert {lane.name for lane in set(threading.enumerate()) - before} == set()
    assert all(status.state == "stopped" for status in runtime.services())
