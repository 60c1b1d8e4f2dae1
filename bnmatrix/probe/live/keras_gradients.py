"""The loss and the gradients of one step of a Keras model by hand, on its own backend."""

import sys
from typing import Any, Callable, List, Optional, Tuple

import numpy as np

from .keras_parts import flat, mapped, raw
from .steps import loss_weights


def gradients(
    model: Any, backend: str, inputs: Any, variables: List[Any], loss: Optional[Callable[[Any], Any]] = None
) -> Tuple[Any, List[Optional[np.ndarray]]]:
    """(loss, a gradient for each of `variables`, None where none comes), of a call in training mode.

    loss: of the output; without it a fixed random weighting of all that the model puts out
    """
    of_backend: Any = {"torch": _torch, "jax": _jax}.get(backend, _tensorflow)
    found: Tuple[Any, List[Optional[np.ndarray]]] = of_backend(model, inputs, variables, loss)
    return found


def _total(output, loss, weighted):
    if loss is not None:
        return loss(output)
    total = 0
    for number, each in enumerate(flat(output)):
        total = total + weighted(each, loss_weights(tuple(int(size) for size in each.shape), number))
    return total


def _tensorflow(model, inputs, variables, loss):
    tf = sys.modules["tensorflow"]
    sources = [raw(each) for each in variables]
    with tf.GradientTape() as tape:
        output = model(mapped(tf.convert_to_tensor, inputs), training=True)
        total = _total(output, loss, lambda each, weights: tf.reduce_sum(tf.cast(each, tf.float32) * weights))
    found = tape.gradient(total, sources)
    return total, [None if each is None else np.asarray(tf.convert_to_tensor(each)) for each in found]


def _torch(model, inputs, variables, loss):
    torch = sys.modules["torch"]
    output = model(inputs, training=True)
    total = _total(
        output, loss, lambda each, weights: (each.float() * torch.as_tensor(weights).to(each.device)).sum()
    )
    values = [each.value for each in variables]
    wanted = [each for each in values if each.requires_grad]
    found = {}
    if wanted and total.requires_grad:
        made = torch.autograd.grad(total, wanted, allow_unused=True)
        found = {id(each): gradient for each, gradient in zip(wanted, made)}
    got = [found.get(id(each)) for each in values]
    return total, [None if each is None else each.detach().float().cpu().numpy() for each in got]


def _jax(model, inputs, variables, loss):
    jax = sys.modules["jax"]
    kept = list(model.non_trainable_variables)

    def forward(trained, others):
        output, after = model.stateless_call(trained, others, inputs, training=True)
        return _total(output, loss, lambda each, weights: (each.astype("float32") * weights).sum()), after

    values = [each.value for each in variables], [each.value for each in kept]
    (total, after), found = jax.value_and_grad(forward, has_aux=True)(*values)
    for variable, value in zip(kept, after):
        variable.assign(value)
    return total, [np.asarray(each, dtype=np.float32) for each in found]
