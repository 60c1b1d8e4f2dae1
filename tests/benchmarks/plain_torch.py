"""The measurement of one batch norm cell, as a plain loop in torch. Prints seconds a cell."""

import time

import numpy as np
import torch

torch.set_num_threads(1)
RATE = 1.0


def snapshot(layer):
    return {name: tensor.detach().clone().numpy() for name, tensor in layer.state_dict().items()}


def write(layer, values):
    with torch.no_grad():
        for name, tensor in layer.state_dict().items():
            tensor.copy_(torch.tensor(values[name]))


def step(layer, x, weights):
    source = torch.tensor(x, dtype=torch.float32).requires_grad_(True)
    for parameter in layer.parameters():
        parameter.grad = None
    output = layer(source)
    forward = snapshot(layer)
    (output * torch.tensor(weights, dtype=torch.float32)).sum().backward()
    gradients = [parameter.grad.clone().numpy() for parameter in layer.parameters()]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.sub_(parameter.grad * RATE)
    return output.detach().clone().numpy(), forward, source.grad.numpy().copy(), gradients


def call(layer, x, training):
    layer.train(training)
    with torch.no_grad():
        output = layer(torch.tensor(x, dtype=torch.float32)).numpy().copy()
    layer.train(True)
    return output


def values(random):
    return {
        "weight": random.uniform(0.5, 2, 4),
        "bias": random.uniform(-1, 1, 4),
        "running_mean": random.uniform(-2, 2, 4),
        "running_var": random.uniform(0.1, 9, 4),
        "num_batches_tracked": np.array(3),
    }


def cell(seed):
    random = np.random.RandomState(seed)
    first, second, other = (random.standard_normal((6, 4)) for _ in range(3))
    first_weights, second_weights = (random.uniform(0.25, 1, (6, 4)) for _ in range(2))
    torch.manual_seed(seed)
    layer = torch.nn.BatchNorm1d(4)
    layer.train(True)
    write(layer, values(random))
    start = snapshot(layer)
    record = [call(layer, other, False)]
    write(layer, start)
    record.append(step(layer, first, first_weights))
    after = snapshot(layer)
    record.append(call(layer, other, False))
    write(layer, after)
    record += [step(layer, second, second_weights), snapshot(layer)]
    write(layer, start)
    record.append(step(layer, first, first_weights))
    write(layer, start)
    record += [call(layer, first, True), snapshot(layer)]
    return record


for seed in range(30):
    cell(seed)
started = time.perf_counter()
for seed in range(300):
    cell(30 + seed)
print((time.perf_counter() - started) / 300)
