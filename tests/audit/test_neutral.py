"""Steps under the eyes of an audit move what the same steps move without it, and as far."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.audit.audits import audited
from tests.laboratory import adapter

SHAPE = (8, 8, 3)
STEPS = 3

CHANCE = np.random.RandomState(3)
BATCH = CHANCE.normal(1.0, 2.0, (6, *SHAPE)).astype("float32")
TARGET = CHANCE.normal(size=(6, 2)).astype("float32")


def close(told: dict[str, float], expected: dict[str, float]) -> None:
    assert sorted(told) == sorted(expected)
    assert told == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert all(expected.values())


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_of_keras(name: str) -> None:
    keras: Any = pytest.importorskip(name)
    adapter("tf2")  # sets TensorFlow's threads, which nothing can once it is used
    layers = keras.layers

    def model() -> Any:
        keras.utils.set_random_seed(0)
        x = inputs = layers.Input(SHAPE)
        x = layers.BatchNormalization(name="norm")(layers.Conv2D(6, 3, use_bias=False, name="conv")(x))
        body = keras.Model(inputs, layers.Dropout(0.0, name="drop")(layers.ReLU()(x)), name="body")
        inputs = layers.Input(SHAPE)
        x = layers.GlobalAveragePooling2D()(body(inputs))
        found = keras.Model(inputs, layers.Dense(2, name="head")(x))
        found.compile(optimizer="sgd", loss="mse")
        return found

    alone = model()
    before = [np.array(each) for each in alone.get_weights()]
    alone.fit(BATCH, TARGET, batch_size=6, epochs=STEPS, shuffle=False, verbose=0)
    moved = [float(abs(now - then).max()) for now, then in zip(alone.get_weights(), before, strict=True)]
    names = [each.name.split("/")[-1].split(":")[0] for each in alone.weights]
    rows = audited(lambda: {"model": model(), "input": BATCH, "target": TARGET}, execution="fit", steps=STEPS)
    told = [(part, each.by) for row in rows for part, each in row.moved.items()]
    assert [part for part, _ in told] == names
    close(dict(enumerate(by for _, by in told)), dict(enumerate(moved)))  # type: ignore[arg-type]


def test_of_torch() -> None:
    torch: Any = pytest.importorskip("torch")
    nn = torch.nn

    def made() -> dict[str, Any]:
        torch.manual_seed(0)
        body = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.0))
        model = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
        goal = torch.as_tensor(TARGET)
        return {
            "model": model,
            "optimizer": torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
            "loss": lambda output: ((output - goal) ** 2).mean(),
            "input": torch.as_tensor(BATCH).permute(0, 3, 1, 2),
        }

    parts = made()
    model = parts["model"].train()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    for _ in range(STEPS):
        parts["optimizer"].zero_grad()
        parts["loss"](model(parts["input"])).backward()
        parts["optimizer"].step()
    moved = {name: float((each - before[name]).abs().max()) for name, each in model.state_dict().items()}
    rows = audited(made, steps=STEPS)
    close({f"{row.path}.{name}": each.by for row in rows for name, each in row.moved.items()}, moved)
