"""The parts that every runtime is given to boot and to hold: how many, and what they are called."""

DEVICES = ("air", "soil", "dust", "vent")
PROCESSES = ("climate", "audit")
INTERFACE = "panel"
SERVICES = ("sampler", "health")
PERIOD_S = 0.5  # of a service

# What the shipped greenhouse configuration samples, each about once a second.
GREENHOUSE = (
    "air.temperature", "air.humidity", "air.pressure", "soil.moisture_1", "soil.moisture_2",
    "dust.pm1_0", "dust.pm2_5", "dust.pm10", "vent.state", "host.load", "host.memory_used",
    "host.cpu_temperature",
)  # fmt: skip
