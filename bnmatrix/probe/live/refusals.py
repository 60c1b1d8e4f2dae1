"""Why a model cannot be audited, for its user."""

from typing import Optional


class Refused(Exception):
    """The question cannot be put to this model; `hint` says what to do, `place` names the user's own line."""

    def __init__(self, message: str, hint: Optional[str] = None, place: Optional[str] = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.place = message, hint, place
