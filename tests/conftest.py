"""What holds for all tests: how long Hypothesis may take, and what it begins from."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A deadline for one example measures the machine, not the code: two cores shared with browsers and
# other processes. pytest's own timeout ends what hangs. In CI the examples are the same each time;
# people at their desks look for new ones.
settings.register_profile(
    "desk", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
