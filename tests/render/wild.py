"""Checks with anything at all in their texts."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec.structs import replace

from bnmatrix.accepted import EXPIRED, MET, NOT_TRIED, UNMATCHED, Answer
from bnmatrix.check_places import Places
from bnmatrix.checked import Check
from bnmatrix.requirement_lines import Place
from tests.render import checks

WORDS = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("\0\x1b\r\n\t<>&%:,[](){}]\ufffe\ud800")
)
VALUES = WORDS | st.floats() | st.integers()

CONDITIONS = st.builds(
    checks.condition,
    number=st.integers(1, 99),
    fact=st.sampled_from(["gamma", "epsilon", "warnings", "a fact of my own"]),
    old=VALUES,
    new=VALUES,
    ids=st.lists(WORDS, min_size=1, max_size=3),
    when=st.dictionaries(WORDS, st.lists(WORDS, min_size=1, max_size=2), max_size=2),
    fails=st.booleans(),
    target=st.sampled_from(["tf2", "torch", "tf2==2.15.1", "\x1b[31m"]),
)
ACCEPTED = st.builds(
    checks.accepted,
    fact=st.just("gamma"),
    old=VALUES,
    new=VALUES,
    reason=WORDS,
    owner=WORDS,
    cells=st.lists(WORDS, max_size=3),
)
ANSWERS = st.builds(
    lambda accepted, status, ids: Answer(
        accepted=accepted, status=status, ids=ids if status in (MET, EXPIRED) else {}
    ),
    accepted=ACCEPTED,
    status=st.sampled_from([MET, EXPIRED, UNMATCHED, NOT_TRIED]),
    ids=st.dictionaries(WORDS.filter(bool), st.lists(WORDS, min_size=1, max_size=2), min_size=1, max_size=2),
)


@st.composite
def wild(draw: st.DrawFn) -> Check:
    """A check that is as another would be, but for its words."""
    full = checks.full()
    lost, *others = full.not_comparable
    conditions = draw(st.lists(CONDITIONS, max_size=4))
    expectations = draw(st.lists(ANSWERS, max_size=4))
    return replace(
        full,
        baseline=draw(st.none() | WORDS),
        conditions=conditions,
        expectations=expectations,
        not_comparable=[replace(lost, reason=draw(WORDS), id=draw(WORDS)), *others],
        unstable=[replace(full.unstable[0], id=draw(WORDS))],
    )


PLACES = st.builds(
    lambda file, text: Places({"tf2": Place(file, 3, "tensorflow", text)}, {}, Place(file, 1, "", "")),
    file=WORDS.filter(lambda file: file and not file.startswith("/")),
    text=WORDS,
)
