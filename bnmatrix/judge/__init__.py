"""Observation -> facts. Pure numpy; knows no framework.

`judge` draws the facts of one observation, `settle` those that several observations of a cell agree on.
"""

from bnmatrix.judge.agreement import Settled, settle
from bnmatrix.judge.facts_of import Judgement, judge
from bnmatrix.judge.numbers import UNDECIDED, Reading

__all__ = ["UNDECIDED", "Judgement", "Reading", "Settled", "judge", "settle"]
