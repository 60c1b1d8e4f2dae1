"""Twins and mutants for what shows under a mask, with an optimizer, or where a step calls a layer twice."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.judge.torch_mutants import BatchNorm, Dropout, DropsUnscaled, DropsWholeChannels

__all__ = ["Dropout", "DropsUnscaled", "DropsWholeChannels"]


class Masked(BatchNorm):
    """Takes the statistics of the positions that count, as Keras 3 does; stores the unbiased estimator."""

    counted = torch.ones(1, 1, 1, dtype=torch.bool)  # (samples, 1, positions...): set by the test

    def weights(self, x: Tensor) -> Tensor:
        counted = self.counted.to(x.dtype).expand(x.shape[0], 1, *x.shape[2:])
        return counted / counted.sum()

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        weights = self.weights(x)
        mean = (weights * x).sum(self.over(x))
        return mean, (weights * (x - self.wide(mean, x)) ** 2).sum(self.over(x))

    def bessel(self, x: Tensor) -> float:
        count = int((self.weights(x) > 0).sum())
        return count / (count - 1)


class IgnoresTheMask(Masked):
    def weights(self, x):
        return torch.full((x.shape[0], 1, *x.shape[2:]), x.shape[1] / x.numel(), dtype=x.dtype)


class CountsMaskedPositionsInTheVariance(Masked):
    def statistics(self, x):
        return super().statistics(x)[0], BatchNorm.statistics(self, x)[1]


class CountsMaskedPositionsInTheMean(Masked):
    def statistics(self, x):
        return BatchNorm.statistics(self, x)[0], super().statistics(x)[1]


class CorrectsByTheNumberOfAll(Masked):
    def bessel(self, x):
        return BatchNorm.bessel(self, x)


class StoresTheStatisticsOfAll(Masked):
    def update(self, mean, variance, x):
        mean, variance = BatchNorm.statistics(self, x)
        super().update(mean.detach(), variance.detach() * BatchNorm.bessel(self, x) / self.bessel(x), x)


class HoldsMaskedStatisticsConstant(Masked):
    def seen_by_gradient(self, mean, variance):
        return mean.detach(), variance.detach()


class NormalisesTheMaskedOnly(Masked):
    def affine(self, z, x):
        return torch.where(self.counted, super().affine(z, x), x)


class LeaksThroughTheOptimizer(BatchNorm):
    """A frozen gamma that keeps a gradient of zero, which an optimizer takes for a reason to decay it."""

    def affine(self, z, x):
        if self.frozen():
            self.weight.grad = torch.zeros_like(self.weight)
        return super().affine(z, x)


class LeaksInTheSecondStep(BatchNorm):
    seen = 0

    def affine(self, z, x):
        self.seen += self.training and torch.is_grad_enabled()
        if self.frozen() and self.seen > 1:
            self.weight.grad = torch.ones_like(self.weight)
        return super().affine(z, x)


class WithoutCounter(BatchNorm):
    def __init__(self, channels):
        super().__init__(channels)
        del self.num_batches_tracked

    def count(self):
        pass


class UpdatesOnceABatch(BatchNorm):
    """Does not take in the same batch again where gradients are wanted."""

    last = torch.zeros(0)

    def updates(self):
        return self.training and not self.seen_before

    def forward(self, x):
        self.seen_before = torch.is_grad_enabled() and torch.equal(self.last, x)
        self.last = x.detach().clone() if self.training else torch.zeros(0)
        return super().forward(x)


class UpdatesOnceABatchWithoutCounter(UpdatesOnceABatch, WithoutCounter):
    pass


class RaisesAfterItsUpdate(BatchNorm):
    def affine(self, z, x):
        if self.training:
            raise RuntimeError("no training today")
        return super().affine(z, x)
