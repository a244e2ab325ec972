"""A new appliance is claimed with the code that only somebody before it can see."""

from __future__ import annotations

import re
import secrets
from typing import Any

import pytest

from leyden_hil.errors import TargetError
from leyden_hil.lab import State
from leyden_hil.plugin import Measure
from leyden_hil.rig import Rig

CODE = r"claim code\s+((?:[0-9A-HJKMNP-TV-Z]{4}-?){3})"

pytestmark = pytest.mark.lg_feature("card")


@pytest.mark.full
def test_the_code_claims_it_over_tls_and_is_gone_afterwards(
    fresh: Any, rig: Rig, measure: Measure
) -> None:
    with fresh(preseed=rig.preseed(password_hash=""), state=State.BOOT) as box:
        shown = box.life.console.wait_for(CODE, 240)
        measure("code on the console", shown.at - box.life.began, "s")
        box.wait()
        written = re.search(CODE, box.card.get("claim-code.txt").decode())
        assert written is not None
        assert written[1] == shown.match[1]

        authority = box.card.get("leyden-ca.crt").decode()
        panel = box.new_panel(authority)
        assert panel.plain("/leyden-ca.crt").body.decode().strip() == authority.strip()
        assert panel.plain("/").status in (301, 302, 303, 307, 308)
        assert panel.claim("0000-0000-0000", secrets.token_urlsafe(12)).status == 401
        assert panel.claim(shown.match[1], "short").status == 400

        password = secrets.token_urlsafe(12)
        typed = shown.match[1].lower().replace("-", " ")
        assert panel.claim(typed, password).status == 200
        measure("power-on to claimed", box.life.elapsed(), "s")
        assert panel.data("/api/v1/session")["role"] == "admin"
        assert box.new_panel(authority).claim(shown.match[1], password).status == 409

        gone = lambda: box.card.get("claim-code.txt") is None  # noqa: E731  # read once, here
        measure("code gone from the card", box.until(gone, 30, "claim-code.txt is removed"), "s")
        box.until(
            lambda: box.shell.run("test -e /data/leyden/identity/claim-code").code != 0,
            30,
            "the code itself is forgotten",
        )
        again = box.new_panel(authority)
        again.sign_in(password)
        with pytest.raises(TargetError, match="401"):
            box.new_panel(authority).sign_in("not the password")
        life = box.reboot()
        assert life.console.said(CODE) is None
        box.new_panel(authority).sign_in(password)


@pytest.mark.full
def test_two_cards_of_one_image_have_nothing_secret_in_common(fresh: Any, rig: Rig) -> None:
    seen = []
    for _ in range(2):
        with fresh(preseed=rig.preseed(password_hash=""), state=State.BOOT) as box:
            code = box.life.console.wait_for(CODE, 240).match[1]
            box.wait()
            files = "/data/leyden/identity/device.key /data/leyden/identity/ca.key"
            keys = box.shell.ask(f"sha256sum {files} /data/system/ssh/ssh_host_ed25519_key")
            machine = box.shell.ask("cat /etc/machine-id")
            seen.append({code, machine, *(line.split()[0] for line in keys.splitlines())})
    assert len(seen[0]) == len(seen[1]) == 5
    assert not seen[0] & seen[1]
