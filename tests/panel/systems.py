"""Appliances in every state that the system page has to show."""

from __future__ import annotations

import msgspec

from leyden.link.protocol import (
    CertificateRow,
    ClockRow,
    NoteRow,
    ReleaseRow,
    SlotRow,
    StagedRow,
    SystemAnswer,
    UpdateRow,
)

FINGERPRINT = ":".join(f"{value:02X}" for value in range(17, 49))
HANG = "the kernel of slot B never reached user space in 3 starts: panic or hang"
LAPTOP = SystemAnswer(False, "/usr/lib/leyden/release.json is not there")

WELL = SystemAnswer(
    available=True,
    release=ReleaseRow("0.2.0", "4f1c09ab77e2d6015a", 1_790_000_000, "leyden-arm64"),
    board="Raspberry Pi 4 Model B Rev 1.4",
    slots=(
        SlotRow("A", "good", "0.1.0", tries_left=3),
        SlotRow("B", "running", "0.2.0", boot=True, tries_left=3),
    ),
    running="B",
    committed="B",
    history=(
        UpdateRow("2026-11-18T09:31:40Z", "committed", "B", "0.2.0", "0.1.0"),
        UpdateRow("2026-11-18T09:30:12Z", "healthy", "B", "0.2.0", "0.1.0"),
        UpdateRow("2026-11-18T09:29:01Z", "trying", "B", "0.2.0", "0.1.0"),
        UpdateRow("2026-11-18T09:27:50Z", "installed", "B", "0.2.0", "0.1.0"),
    ),
    clock=ClockRow("synced", "by NTP"),
    certificate=CertificateRow(FINGERPRINT, "2027-12-01T00:00:00Z"),
)

TRIAL = msgspec.structs.replace(
    WELL,
    slots=(
        SlotRow("A", "good", "0.1.0", tries_left=3),
        SlotRow("B", "trying", "0.2.0", boot=True, tries_left=2, detail="0.2.0 is on trial"),
    ),
    committed="A",
    staged=StagedRow("B", "0.2.0", "tried"),
    history=WELL.history[2:],
)

STAGED = msgspec.structs.replace(
    WELL,
    slots=(
        SlotRow("A", "running", "0.1.0", tries_left=3),
        SlotRow("B", "staged", "0.2.0", boot=True, tries_left=3, detail="tried at the next start"),
    ),
    running="A",
    committed="A",
    staged=StagedRow("B", "0.2.0", "verified"),
    history=WELL.history[3:],
)

ROLLED_BACK = msgspec.structs.replace(
    WELL,
    release=ReleaseRow("0.1.0", "91be02", 1_780_000_000, "leyden-arm64"),
    slots=(
        SlotRow("A", "running", "0.1.0", boot=True, tries_left=3),
        SlotRow("B", "bad", "0.2.0", detail=HANG),
    ),
    running="A",
    committed="A",
    history=(
        UpdateRow("1970-01-01T00:00:31Z", "refused", "", "0.0.9", "", "older than what runs"),
        UpdateRow(
            "2026-11-18T09:33:02Z", "rolled-back", "B", "0.2.0", "0.1.0", HANG,
            "3 starts were given, none came up; the boot loader went back to slot A",
        ),
        *WELL.history[2:],
    ),
)  # fmt: skip

TROUBLED = msgspec.structs.replace(
    ROLLED_BACK,
    slots=(SlotRow("A", "running", "0.1.0", boot=True, tries_left=3), SlotRow("B", "empty")),
    notes=(
        NoteRow("error", "data-remade", "the data partition could not be repaired and was made "
                "anew: what was recorded is gone"),
        NoteRow("warning", "preseed.wifi", "leyden.toml names a Wi-Fi network and no country: "
                "Wi-Fi stays off"),
        NoteRow("info", "data-grown", "the data partition was grown to 28.9 GB"),
    ),
    clock=ClockRow("unsynced", "no time server has answered"),
)  # fmt: skip

CONFIGURATION = {
    "state": "last-good",
    "problem": "appliance.toml: …; the plan that ran before is used instead",
    "file": "/data/leyden/config/appliance.toml",
    "name": "greenhouse",
    "problems": [
        'appliance.toml: device.air.driver: found "bme28", expected one of the drivers',
        'appliance.toml: bus.i2c1.speed: found "fast", expected a frequency like "400 kHz"',
    ],
}
