"""What an audit cannot avoid, as its user would write it: import, model, two steps, one inference.

plain_audit.py keras FILE FACTORY    or    plain_audit.py torch FILE FACTORY
"""

import importlib.util
import sys

import numpy as np


def factory(place, name):
    spec = importlib.util.spec_from_file_location("models", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def keras(make):
    model = make()
    random = np.random.RandomState(0)
    x = random.normal(1.0, 2.0, (8, *model.input_shape[1:])).astype("float32")
    y = np.eye(model.output_shape[-1], dtype="float32")[random.randint(0, model.output_shape[-1], 8)]
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    model(x, training=False)


def torch_(make):
    import torch

    made = make()
    model, x = made["model"], made["input"]
    for _ in range(2):
        model.train()
        model.zero_grad()
        model(x).square().mean().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.sub_(0.01 * parameter.grad)
    model.eval()
    with torch.no_grad():
        model(x)


{"keras": keras, "torch": torch_}[sys.argv[1]](factory(*sys.argv[2:]))
