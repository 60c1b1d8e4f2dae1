"""What goes wrong with environments: one line of what, one of what next."""

from __future__ import annotations

from bnmatrix.errors import BnmatrixError, Exit, UsageError


class VersionNotFound(UsageError):
    """The index has no such release."""


class ContradictoryPins(UsageError):
    """Two things that were asked for exclude each other."""


class EnvironmentFailure(BnmatrixError):
    """An environment cannot be had here or now."""

    exit_code = Exit.INCOMPLETE


class NoInterpreter(EnvironmentFailure):
    """No Python was found here that the release has a wheel for."""


class NoWheel(EnvironmentFailure):
    """The release has no wheel for this platform."""


class Unreachable(EnvironmentFailure):
    """No index answers."""


class NoUploadTimes(EnvironmentFailure):
    """The index does not say when its files were uploaded."""


class NotHere(EnvironmentFailure):
    """Offline, and not here."""


class TooLarge(EnvironmentFailure):
    """More would be fetched than goes without asking."""


class DiskFull(EnvironmentFailure):
    """No room left."""


class InUse(EnvironmentFailure):
    """Another process makes it."""


class UvFailed(EnvironmentFailure):
    """uv failed in a way of its own."""
