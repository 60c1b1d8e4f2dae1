"""What is raised where an assertion can neither hold nor fail."""

from __future__ import annotations

from bnmatrix.errors import UsageError


class CannotTell(UsageError):
    """The question cannot be put to this model: nothing matched, no input is known, the model raised.

    Not an AssertionError: a test that cannot tell must not pass for one that found something.
    """

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"
