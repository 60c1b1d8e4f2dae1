"""Many steps in a row, for layers that are to be held side by side: what each step showed, and where it led.

Two layers of different frameworks that were asked for with one seed get the same numbers: the values of
slots depend on their names and shapes, the batches on the layer and its rank.
"""

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from .adapters import Arrays, Bench

Batch = Tuple[np.ndarray, np.ndarray]  # inputs, weights of the loss


def follow(bench: Bench, batches: Sequence[Batch], last: np.ndarray, given: Dict[str, Any]) -> Dict[str, Any]:
    """One step on each of `batches`, then the output in inference mode on `last`.

    given: what a user is to do after each step, {"hold": [slots that are put back],
           "variance": {"kept", "factor"}: what the moving variance took in is taken in `factor` times,
           of which it keeps the share `kept` of what it had}
    """
    course: Dict[str, Any] = {"start": bench.read(), "stored": bench.stored(), "steps": []}
    steps: List[Dict[str, Any]] = course["steps"]
    before: Arrays = course["start"]
    for inputs, weights in batches:
        made = bench.step(inputs, weights)
        mended = mend(before, bench.read(), given)
        if mended:
            bench.write(mended)
        before = bench.read()
        steps.append(
            {
                "inputs": inputs,
                "weights": weights,
                "output": made.output,
                "input_gradient": made.input_gradient,
                "gradients": made.gradients,
                "state": before,
            }
        )
    course["inference"] = bench.infer(last)
    return course


def mend(before: Arrays, after: Arrays, given: Dict[str, Any]) -> Arrays:
    """What is to be written after a step that led from the one state to the other."""
    mended = {slot: before[slot] for slot in given.get("hold", ())}
    if "variance" in given:
        kept = given["variance"]["kept"] * before["moving_variance"].astype(np.float64)
        taken = after["moving_variance"].astype(np.float64) - kept
        mended["moving_variance"] = kept + given["variance"]["factor"] * taken
    return mended
