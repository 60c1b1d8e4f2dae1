"""Layers with one planted fault each, in real torch, beside twins without any.

`BatchNorm` is the twin of `torch.nn.BatchNorm1d/2d/3d`, written in elementary operations and cut where
faults go in. Each subclass is named for its one fault. `LAYERS` lists, by layer, the twin and its mutants.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """Does what torch's batch norm does."""

    rate = 0.1
    epsilon = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.statistics(x)
        if self.updates():
            self.count()
            self.update(mean.detach(), variance.detach(), x)
        if self.by_batch():
            mean, variance = self.seen_by_gradient(mean, variance)
        else:
            mean, variance = self.running_mean, self.running_var
        return self.affine(self.normalise(x, *self.mixed(mean, variance, x)), x)

    def over(self, x: Tensor) -> list[int]:
        return [axis for axis in range(x.dim()) if axis != 1]

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean(self.over(x)), x.var(self.over(x), unbiased=False)

    def updates(self) -> bool:
        return self.training

    def by_batch(self) -> bool:
        return self.training

    def frozen(self) -> bool:
        return not self.weight.requires_grad

    def count(self) -> None:
        self.num_batches_tracked += 1

    def update(self, mean: Tensor, variance: Tensor, x: Tensor) -> None:
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.rate)
            self.running_var.lerp_(self.estimate(variance, x), self.rate)

    def bessel(self, x: Tensor) -> float:
        count = x.numel() // x.shape[1]
        return count / (count - 1)

    def estimate(self, variance: Tensor, x: Tensor) -> Tensor:
        return variance * self.bessel(x)

    def seen_by_gradient(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        return mean, variance

    def mixed(self, mean: Tensor, variance: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return mean, variance

    def normalise(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return (x - self.wide(mean, x)) / self.wide(self.deviation(variance), x)

    def deviation(self, variance: Tensor) -> Tensor:
        return torch.sqrt(variance + self.epsilon)

    def wide(self, channels: Tensor, x: Tensor) -> Tensor:
        return channels.reshape((1, -1) + (1,) * (x.dim() - 2))

    def affine(self, z: Tensor, x: Tensor) -> Tensor:
        return z * self.wide(self.weight, x) + self.wide(self.bias, x)


class TakesMomentumForTheOtherSide(BatchNorm):
    rate = 0.9


class UpdatesByTheBiasedEstimator(BatchNorm):
    def estimate(self, variance, x):
        return variance


class CorrectsTheEstimatorTwice(BatchNorm):
    def estimate(self, variance, x):
        return variance * self.bessel(x) ** 2


class NormalisesByTheUnbiasedEstimator(BatchNorm):
    def mixed(self, mean, variance, x):
        return mean, variance * self.bessel(x) if self.by_batch() else variance


class AddsEpsilonOutsideTheRoot(BatchNorm):
    def deviation(self, variance):
        return torch.sqrt(variance) + self.epsilon


class HasALargeEpsilon(BatchNorm):
    epsilon = 1e-3


class HasTwiceTheEpsilon(BatchNorm):
    epsilon = 2e-5


class HasNoEpsilon(BatchNorm):
    epsilon = 0.0


class FreezeLeaksIntoGamma(BatchNorm):
    def affine(self, z, x):
        if self.frozen():
            self.weight.data.mul_(0.99)
        return super().affine(z, x)


class FreezeLeaksIntoBeta(BatchNorm):
    def affine(self, z, x):
        if self.frozen():
            self.bias.data.add_(0.01)
        return super().affine(z, x)


class InferenceLeaksIntoTheMean(BatchNorm):
    def forward(self, x):
        if not self.training:
            self.running_mean.lerp_(self.statistics(x)[0].detach(), self.rate)
        return super().forward(x)


class InferenceLeaksIntoTheVariance(BatchNorm):
    def forward(self, x):
        y = super().forward(x)
        if not self.training:
            with torch.no_grad():
                self.running_var.lerp_(self.statistics(x)[1].detach(), self.rate)
        return y


class InferenceCountsBatches(BatchNorm):
    def forward(self, x):
        if not self.training:
            self.count()
        return super().forward(x)


class FreezeStopsTheStatistics(BatchNorm):
    def updates(self):
        return self.training and not self.frozen()


class FreezeStopsTheMeanAlone(BatchNorm):
    def update(self, mean, variance, x):
        super().update(self.running_mean.clone() if self.frozen() else mean, variance, x)


class FreezeStopsTheVarianceAlone(BatchNorm):
    def estimate(self, variance, x):
        return self.running_var.clone() if self.frozen() else super().estimate(variance, x)


class FreezeSwitchesToInference(BatchNorm):
    def by_batch(self):
        return self.training and not self.frozen()


class UpdatesTwice(BatchNorm):
    def update(self, mean, variance, x):
        super().update(mean, variance, x)
        super().update(mean, variance, x)


class CountsTwice(BatchNorm):
    def count(self):
        self.num_batches_tracked += 2


class ForgetsToCount(BatchNorm):
    def count(self):
        pass


class GradientIgnoresTheStatistics(BatchNorm):
    def seen_by_gradient(self, mean, variance):
        return mean.detach(), variance.detach()


class GradientIgnoresTheMean(BatchNorm):
    def seen_by_gradient(self, mean, variance):
        return mean.detach(), variance


class GradientIgnoresTheVariance(BatchNorm):
    def seen_by_gradient(self, mean, variance):
        return mean, variance.detach()


class TakesBatchMeanAndMovingVariance(BatchNorm):
    def mixed(self, mean, variance, x):
        return mean, self.running_var.clone()


class TakesMovingMeanAndBatchVariance(BatchNorm):
    def mixed(self, mean, variance, x):
        return self.running_mean.clone(), variance


class NormalisesBySample(BatchNorm):
    def normalise(self, x, mean, variance):
        if not self.training:
            return super().normalise(x, mean, variance)
        return (x - x.mean(1, keepdim=True)) / torch.sqrt(
            x.var(1, keepdim=True, unbiased=False) + self.epsilon
        )


class KeepsPositionsApart(BatchNorm):
    def normalise(self, x, mean, variance):
        if not self.training:
            return super().normalise(x, mean, variance)
        return (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + self.epsilon)


class UpdatesACopyOfItsBuffers(BatchNorm):
    def update(self, mean, variance, x):
        mean_buffer, variance_buffer = self.running_mean.clone(), self.running_var.clone()
        mean_buffer.lerp_(mean, self.rate)
        variance_buffer.lerp_(variance, self.rate)


class NormalisesAfterItsOwnUpdate(BatchNorm):
    def mixed(self, mean, variance, x):
        return self.running_mean.clone(), self.running_var.clone()


class UpdatesOnlyOnce(BatchNorm):
    done = False

    def updates(self):
        first = self.training and not self.done
        self.done = self.done or self.training
        return first


class ReplacesTheStatisticsAtFirst(BatchNorm):
    def update(self, mean, variance, x):
        self.rate, usual = (1.0 if self.num_batches_tracked == 4 else self.rate), self.rate
        super().update(mean, variance, x)
        self.rate = usual


class AveragesOverAllBatches(BatchNorm):
    def update(self, mean, variance, x):
        self.rate = 1.0 / float(self.num_batches_tracked)
        super().update(mean, variance, x)


class UpdatesTheMeanFaster(BatchNorm):
    def update(self, mean, variance, x):
        super().update(mean, variance, x)
        self.running_mean.lerp_(mean, self.rate)


class UpdatesByTheFirstSample(BatchNorm):
    def update(self, mean, variance, x):
        super().update(x[:1].mean(self.over(x)).detach(), variance, x)


class StoresTheDeviation(BatchNorm):
    def estimate(self, variance, x):
        return super().estimate(variance, x).sqrt()


class SwapsItsBuffers(BatchNorm):
    def update(self, mean, variance, x):
        super().update(variance, mean, x)


class IgnoresGamma(BatchNorm):
    def affine(self, z, x):
        return z + self.wide(self.bias, x)


class IgnoresBeta(BatchNorm):
    def affine(self, z, x):
        return z * self.wide(self.weight, x)


class AddsBetaBeforeGamma(BatchNorm):
    def affine(self, z, x):
        return (z + self.wide(self.bias, x)) * self.wide(self.weight, x)


class TakesGammaOfTheNextChannel(BatchNorm):
    def affine(self, z, x):
        return z * self.wide(self.weight.roll(1), x) + self.wide(self.bias, x)


class ShrinksGammaInTheForward(BatchNorm):
    def affine(self, z, x):
        return z * self.wide(self.weight, x) * 0.99 + self.wide(self.bias, x)


class DoesNothing(BatchNorm):
    def affine(self, z, x):
        return x + 0 * z


class ComputesInHalfPrecision(BatchNorm):
    def normalise(self, x, mean, variance):
        return super().normalise(x.half(), mean.half(), variance).to(x.dtype)


class StartsInInferenceMode(BatchNorm):
    def __init__(self, channels):
        super().__init__(channels)
        self.eval()


class IgnoresEval(BatchNorm):
    def by_batch(self):
        return True


class IgnoresTrain(BatchNorm):
    def by_batch(self):
        return False


class AddsNoise(BatchNorm):
    def affine(self, z, x):
        y = super().affine(z, x)
        return y + 0.01 * torch.randn_like(y) if self.training else y


class StoresHalfPrecision(BatchNorm):
    def __init__(self, channels):
        super().__init__(channels)
        self.running_mean = self.running_mean.half()

    def update(self, mean, variance, x):
        super().update(mean.to(self.running_mean.dtype), variance, x)


class KeepsGammaAsABuffer(BatchNorm):
    def __init__(self, channels):
        super().__init__(channels)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


class DetachesGamma(BatchNorm):
    def affine(self, z, x):
        return z * self.wide(self.weight.detach(), x) + self.wide(self.bias, x)


class DetachesTheInput(BatchNorm):
    def forward(self, x):
        return super().forward(x.detach())


class DoublesTheGradient(BatchNorm):
    def forward(self, x):
        return super().forward(2 * x - x.detach())


class ClipsTheVariance(BatchNorm):
    def deviation(self, variance):
        return super().deviation(variance.clamp(min=0.01))


class RaisesInInference(BatchNorm):
    def forward(self, x):
        if not self.training:
            raise RuntimeError("no inference today")
        return super().forward(x)


class PutsOutDoublePrecision(BatchNorm):
    def affine(self, z, x):
        return super().affine(z, x).double()


class ChangesItsModeFlag(BatchNorm):
    def affine(self, z, x):
        self.train(False)
        return super().affine(z, x)


class Warns(BatchNorm):
    def forward(self, x):
        import warnings

        warnings.warn("statistics are out of fashion", FutureWarning, stacklevel=1)
        return super().forward(x)


class Dropout(nn.Module):
    """Does what torch's dropout does."""

    rate = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask(x).to(x.dtype) * self.scale() if self.active() else x * self.rest()

    def active(self) -> bool:
        return self.training

    def mask(self, x: Tensor) -> Tensor:
        return torch.rand_like(x) >= self.rate

    def scale(self) -> float:
        return 1 / (1 - self.rate)

    def rest(self) -> float:
        return 1.0


class DropsUnscaled(Dropout):
    def scale(self):
        return 1.0


class ScalesAtInference(Dropout):
    def scale(self):
        return 1.0

    def rest(self):
        return 1 - self.rate


class DropsAtInference(Dropout):
    def active(self):
        return True


class NeverDrops(Dropout):
    def active(self):
        return False


class DropsMoreThanItScales(Dropout):
    def mask(self, x):
        return torch.rand_like(x) >= 0.7


class DropsTheSameEveryTime(Dropout):
    def mask(self, x):
        return torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) >= self.rate


class DropsWholeChannels(Dropout):
    def mask(self, x):
        return torch.rand(x.shape[0], *(1,) * (x.dim() - 2), x.shape[-1]) >= self.rate


class PassesTheGradientOfDroppedElements(Dropout):
    def forward(self, x):
        y = super().forward(x)
        return x + (y - x).detach()


class SpatialDropout(Dropout):
    """Does what torch's Dropout1d/2d/3d do (channels first)."""

    def mask(self, x):
        return torch.rand(*x.shape[:2], *(1,) * (x.dim() - 2)) >= self.rate


class DropsElements(SpatialDropout):
    def mask(self, x):
        return torch.rand_like(x) >= self.rate


class Dense(nn.Linear):
    """torch's own."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3)


class DenseFreezeLeaksIntoKernel(Dense):
    def forward(self, x):
        y = super().forward(x)
        if not self.weight.requires_grad:
            self.weight.data.mul_(0.99)
        return y


class DenseBiasIgnoresFreeze(Dense):
    def forward(self, x):
        self.bias.requires_grad_(True)
        return super().forward(x)


class DenseGradientIsHalved(Dense):
    def forward(self, x):
        return super().forward(0.5 * x + 0.5 * x.detach())


class DenseKernelIsDetached(Dense):
    def forward(self, x):
        return x @ self.weight.detach().T + self.bias


class LayerNorm(nn.Module):
    """Does what torch's layer norm does."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.statistics(x)
        return (x - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)


class NormalisesLayersByTheUnbiasedEstimator(LayerNorm):
    def statistics(self, x):
        return x.mean(-1, keepdim=True), x.var(-1, keepdim=True)


class NormalisesLayersByTheBatch(LayerNorm):
    def statistics(self, x):
        return x.mean(0, keepdim=True), x.var(0, keepdim=True, unbiased=False)


class ForgetsTheMeanOfLayers(LayerNorm):
    def statistics(self, x):
        return torch.zeros(1), x.pow(2).mean(-1, keepdim=True)


class HoldsStatisticsOfLayersConstant(LayerNorm):
    def statistics(self, x):
        return super().statistics(x.detach())


class LayerNormLargeEpsilon(LayerNorm):
    def statistics(self, x):
        mean, variance = super().statistics(x)
        return mean, variance + 1e-3


class LayerNormFreezeLeaks(LayerNorm):
    def forward(self, x):
        if not self.weight.requires_grad:
            self.weight.data.mul_(0.99)
        return super().forward(x)


class Embedding(nn.Embedding):
    """torch's own, with max_norm."""

    def __init__(self, channels: int) -> None:
        super().__init__(5, 4, max_norm=1.0)


class LooksUpWithoutRescaling(Embedding):
    def __init__(self, channels):
        super().__init__(channels)
        self.max_norm = None


class TrainsAFrozenTable(Embedding):
    def forward(self, ids):
        self.weight.requires_grad_(True)
        return super().forward(ids)


def mutants(twin: type[nn.Module]) -> list[type[nn.Module]]:
    """The direct and indirect subclasses of a twin that are mutants of it, not twins themselves."""
    found = []
    for each in twin.__subclasses__():
        if each not in TWINS.values() and each.__module__ == __name__:
            found += [each, *mutants(each)]
    return found


TWINS: dict[str, type[nn.Module]] = {
    "batch_norm": BatchNorm,
    "dropout": Dropout,
    "spatial_dropout": SpatialDropout,
    "dense": Dense,
    "layer_norm": LayerNorm,
    "embedding variant=max_norm": Embedding,
}
