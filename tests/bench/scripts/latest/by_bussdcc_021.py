"""bussdcc 0.21: the value at a dotted path of its state."""

from bussdcc import Runtime
from gauge import Rate, confirm, option, report

state = Runtime().state
state.set("air.temperature", 20.5)


def read(count: int) -> None:
    get = state.get
    for _ in range(count):
        get("air.temperature")


rate = Rate(read, option("seconds", 0.5), cpu=True)
confirm(state.get("air.temperature") == 20.5, "the value is not there")
report(rate.per_second, "1/s", does="bare value; no time, quality or order")
