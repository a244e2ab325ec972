"""The time to import a package in a fresh process, and the memory of that process afterwards.

Nothing is imported before the clock starts but what Python itself brings, so that no subject gains
from what this script would have loaded already. Names are `module:attribute`; asking for the
attribute makes a package that loads its parts late load the one that is needed to publish.
"""

import sys
import time

names = [argument for argument in sys.argv[1:] if "=" not in argument]
start = time.perf_counter()
for name in names:
    module, _, attribute = name.partition(":")
    __import__(module)
    if attribute:
        getattr(sys.modules[module], attribute)
took_ms = (time.perf_counter() - start) * 1000
modules = len(sys.modules)
with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 - pathlib would be measured
    status = file.read()

from gauge import report, rss_in  # noqa: E402 - loaded after the measurement on purpose

report(
    took_ms,
    "ms",
    also={"import_rss": rss_in(status)},
    does="import " + ", ".join(names),
    modules=modules,
)
