"""What can go wrong with the rig itself, as opposed to what it tests."""


class RigError(Exception):
    """Something of the rig is wrong; base of the others."""


class InfraError(RigError):
    """The rig could not do its part: the emulator did not start, the host is full.

    Says nothing about the appliance: such an attempt is of class `infra`, may be repeated, and
    never counts as passed.
    """


class TargetError(RigError):
    """The appliance did not do its part: it did not boot, or answered something else."""


class MonitorError(RigError):
    """The emulator refused a command of its monitor."""
