"""Minimal bad models of torch and their mended twins: {finding: (bad, mended)}, as factories."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def backbone(**options: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6, **options), nn.ReLU(), nn.Dropout(0.3)
    )


class Net(nn.Module):
    """A backbone with a head. `kept`: whether its train() leaves the backbone in eval()."""

    def __init__(self, body: nn.Module | None = None, kept: bool = False, features: int = 6) -> None:
        super().__init__()
        self.backbone = backbone() if body is None else body
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(features, 2)
        self.kept = kept

    def train(self, mode: bool = True) -> Net:
        super().train(mode)
        if self.kept:
            self.backbone.eval()
        return self

    def forward(self, x: Any) -> Any:
        return self.head(self.dropout(self.backbone(x).mean((2, 3))))


def frozen(**options: Any) -> Net:
    model = Net(**options)
    model.backbone.requires_grad_(False)
    return model


def spectral(kept: bool = False) -> Net:
    body = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 6, 3)), nn.ReLU())
    return frozen(body=body, kept=kept)


class Detached(Net):
    def __init__(self, detach: bool) -> None:
        super().__init__()
        self.detach = detach

    def forward(self, x: Any) -> Any:
        features = self.backbone(x)
        return self.head((features.detach() if self.detach else features).mean((2, 3)))


class WithUnused(Net):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(6, 6)


def stepped_before_the_freeze(clear: bool) -> dict[str, Any]:
    """Frozen after a step, with an optimizer that has momentum."""
    model = Net(kept=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batch = torch.randn(4, 3, 8, 8)
    model.train()
    model(batch).sum().backward()
    optimizer.step()
    model.backbone.requires_grad_(False)
    optimizer.zero_grad(set_to_none=clear)

    def step(model: nn.Module) -> None:
        model.train()
        optimizer.zero_grad(set_to_none=clear)
        model(batch).sum().backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step, "input": batch}


class Checkpointed(Net):
    def __init__(self, recompute: bool) -> None:
        super().__init__()
        self.recompute = recompute

    def forward(self, x: Any) -> Any:
        x = x.requires_grad_(True)
        features = checkpoint(self.backbone, x, use_reentrant=False) if self.recompute else self.backbone(x)
        return self.head(features.mean((2, 3)))


class Siamese(nn.Module):
    """Two inputs through one normalisation, or through one each."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.left = nn.BatchNorm2d(3)
        self.right = self.left if shared else nn.BatchNorm2d(3)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        return self.head(torch.cat([self.left(x), self.right(x.flip(0) * 2)], 1).mean((2, 3)))


def evaluated() -> Net:
    model = frozen()
    model.backbone.eval()
    return model


def traced(training: bool) -> dict[str, Any]:
    """With a body that was traced in one mode."""
    body, batch = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)), torch.randn(4, 3, 8, 8)
    return {"model": Net(torch.jit.trace(body.train(training), batch), kept=not training), "input": batch}


class Lying(nn.BatchNorm2d):
    """In training mode by its flag, in inference mode by what it does."""

    def forward(self, x: Any) -> Any:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False)


def in_bfloat16(low: bool) -> dict[str, Any]:
    """Statistics near what the batch has, so that updates are small."""
    norm = nn.BatchNorm2d(6, momentum=0.01)
    assert norm.running_mean is not None
    norm.running_mean.fill_(1.0)
    body = nn.Sequential(nn.Identity(), norm)
    model = Net(body)
    if low:
        model.to(torch.bfloat16)
    chance = torch.Generator().manual_seed(0)
    batch = torch.randn(16, 6, 8, 8, generator=chance) + 1.0
    return {"model": model, "input": batch.to(torch.bfloat16) if low else batch}


class SwitchedOff(Net):
    def train(self, mode: bool = True) -> SwitchedOff:
        super().train(mode)
        self.dropout.eval()
        return self


class AlwaysOn(nn.Dropout):
    def forward(self, x: Any) -> Any:
        return nn.functional.dropout(x, self.p)


def always_on() -> Net:
    model = Net()
    model.dropout = AlwaysOn(0.5)
    return model


def by_attribute(name: str) -> Net:
    model = Net()
    setattr(model.backbone, name, False)
    return model


def of_samples(count: int) -> dict[str, Any]:
    return {"model": Net(), "input": torch.randn(count, 3, 8, 8)}


def of_values(count: int) -> dict[str, Any]:
    model = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    return {"model": model, "input": torch.randn(count, 3)}


def stepped_by(mode: str) -> dict[str, Any]:
    """With a step of the user's own, in this mode."""
    model = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    optimizer, batch = torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(8, 3)

    def step() -> None:
        getattr(model, mode)()
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step, "input": batch}


def optimized(again: bool) -> dict[str, Any]:
    """With a head that took another's place after the optimizer was made."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.head = nn.Linear(6, 2)
    if again:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return {"model": model, "optimizer": optimizer}


PAIRS = {
    "BN001": (frozen, lambda: frozen(kept=True)),
    "BN001 by its own state": (spectral, lambda: spectral(kept=True)),
    "BN002": (lambda: Detached(True), lambda: Detached(False)),
    "BN002 never called": (WithUnused, Net),
    "BN002 not in the optimizer": (lambda: optimized(False), lambda: optimized(True)),
    "BN003": (lambda: stepped_before_the_freeze(False), lambda: stepped_before_the_freeze(True)),
    "BN004": (lambda: Siamese(True), lambda: Siamese(False)),
    "BN004 recomputed": (lambda: Checkpointed(True), lambda: Checkpointed(False)),
    "BN005": (lambda: Net(backbone(track_running_stats=False)), Net),
    "BN008": (evaluated, lambda: frozen(kept=True)),
    "BN009": (lambda: traced(True), lambda: traced(False)),
    "BN009 by its forward": (
        lambda: Net(nn.Sequential(nn.Conv2d(3, 6, 3), Lying(6))),
        lambda: Net(nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))),
    ),
    "BN010": (lambda: of_samples(1), lambda: of_samples(4)),
    "BN010 of one value": (lambda: of_values(1), lambda: of_values(4)),
    "BN011": (lambda: in_bfloat16(True), lambda: in_bfloat16(False)),
    "BN012": (SwitchedOff, Net),
    "BN013": (always_on, Net),
    "BN014": (lambda: stepped_by("eval"), lambda: stepped_by("train")),
    "BN015": (lambda: frozen(body=backbone(momentum=0.0)), lambda: frozen(kept=True)),
    "BN016": (lambda: by_attribute("requires_grad"), lambda: frozen(kept=True)),
    "BN016 trainable": (lambda: by_attribute("trainable"), lambda: frozen(kept=True)),
}
