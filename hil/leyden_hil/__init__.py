"""The rig: boots a card in an emulator or on a bench, and writes down what it measured.

- `card`: one SD card, a copy of the image that a test may spoil.
- `emulator`: one emulated machine, its consoles, its monitor, the power that can be cut.
- `lab`: both as labgrid drivers, and the strategy that brings a target to a state.
- `shell`, `panel`: the two ways into a running appliance that its owner has, too.
- `results`, `report`: measurements with limits, attempts, classes, the table.
- `plugin`: what a test is given, and what becomes of it.
"""
