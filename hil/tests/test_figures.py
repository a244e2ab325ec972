"""The figures that the design promises: starts beside a stock Debian root, writes to the card."""

from __future__ import annotations

import statistics
import time
from typing import Any, Final

import pytest

from leyden_hil.appliance import Appliance
from leyden_hil.card import Card
from leyden_hil.emulator import Machine
from leyden_hil.plugin import Measure
from leyden_hil.rig import Rig
from leyden_hil.stock import PROMPT, Stock

TURNS: Final = 3
WEAR_S: Final = 600.0
_SAMPLES = """
import json
from pathlib import Path

boots = {}
for path in sorted(Path("/data/leyden/log").glob("*.jsonl*")):
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if isinstance(row.get("k"), int):
            boot = int(path.name.split("-")[0])
            boots.setdefault(boot, row["m"])
print(json.dumps(boots[max(boots)] / 1e6))
"""


@pytest.mark.full
@pytest.mark.lg_feature(["emulated", "direct"])
def test_it_samples_before_a_stock_root_asks_for_a_name(
    fresh: Any, rig: Rig, measure: Measure
) -> None:
    """Same machine, kernel and initrd, in turns; the appliance's first boot is not counted."""
    stock = Stock.make(Card(rig.image), rig.folder.parent.parent / "stock")
    prompts, samples, panels = [], [], []
    with fresh() as box:
        box.cut()
        for _ in range(TURNS):
            prompts.append(_prompt(stock, box, rig))
            sample, panel = _start(box)
            samples.append(sample)
            panels.append(panel)
    prompt = statistics.median(prompts)
    measure("stock root's login prompt", prompt, "s")
    measure("first sample", statistics.median(samples), "s")
    measure("panel answers", statistics.median(panels), "s")
    measure("first sample / prompt", statistics.median(samples) / prompt, "", "<= 1.0")
    measure("panel / prompt", statistics.median(panels) / prompt, "", "<= 1.5")


def _prompt(stock: Stock, box: Appliance, rig: Rig) -> float:
    """Start the stock root; return when it asks for a name, in seconds from power-on."""
    machine = Machine(box.machine.board, stock.disk, rig.folder / "stock", stock.prepare)
    try:
        life = machine.on()
        return life.console.wait_for(PROMPT, 300).at - life.began
    finally:
        machine.close()


def _start(box: Appliance) -> tuple[float, float]:
    """Start the appliance; return when it sampled and when its panel answered."""
    life = box.machine.on()
    panel = box.new_panel()
    while panel.health() is None:
        assert life.elapsed() < 300, life.console.tail()
        time.sleep(0.1)
    answered = life.elapsed()
    box.wait()
    sample = box.guest_began() + float(box.python(_SAMPLES)) - life.began
    box.cut()
    return sample, answered


@pytest.mark.full
@pytest.mark.lg_feature("emulated")
def test_how_much_is_written_to_the_card(appliance: Appliance, measure: Measure) -> None:
    """At the load of the shipped configuration, after ten minutes of settling in."""
    _let_pass(appliance, WEAR_S)
    before, began = _written(appliance), time.monotonic()
    _let_pass(appliance, WEAR_S)
    hours = (time.monotonic() - began) / 3600
    measure("written to the card", (_written(appliance) - before) / hours / 1e6, "MB/h", "<= 20")


def _written(appliance: Appliance) -> int:
    rows = appliance.life.monitor.execute("query-blockstats")
    return sum(int(row["stats"]["wr_bytes"]) for row in rows)


def _let_pass(appliance: Appliance, seconds: float) -> None:
    """Let time pass; a machine that ends meanwhile is a failure."""
    assert appliance.machine.wait_for_end(appliance.machine.lives, seconds) is None
