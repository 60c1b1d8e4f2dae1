"""Whole torch models, small but built as the real ones are: {name: a factory}, each with a part to be frozen.

A factory returns (model, a batch for it); `model.backbone` is what people freeze.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

Made = tuple[nn.Module, Any]


class Net(nn.Module):
    """A backbone with a head. `kept`: whether its train() leaves the backbone in eval()."""

    kept = False

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def train(self, mode: bool = True) -> Net:
        super().train(mode)
        if self.kept:
            self.backbone.eval()
        return self

    def forward(self, *inputs: Any) -> Any:
        return self.head(self.backbone(*inputs))


class Pooled(nn.Sequential):
    """A classifier on top of feature maps."""

    def __init__(self, width: int, classes: int = 5) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(width, classes))


def images(count: int = 4, side: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, side, side) * 2 + 1


# --- convolutional classifiers


class Bottleneck(nn.Module):
    """Of a ResNet; the last gamma starts at zero, so that the block is the identity at first."""

    def __init__(self, width: int, inner: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out)
        nn.init.zeros_(self.bn3.weight)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or width != out:
            self.downsample = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Any) -> Any:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


def resnet(depths: tuple[int, ...] = (2, 2, 2), width: int = 8) -> Made:
    stem = nn.Sequential(nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width),
                         nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))  # fmt: skip
    stages, inside = [], width
    for number, depth in enumerate(depths):
        inner = width * 2**number
        blocks = []
        for block in range(depth):
            blocks.append(Bottleneck(inside, inner, inner * 4, 2 if number and not block else 1))
            inside = inner * 4
        stages.append(nn.Sequential(*blocks))
    return Net(nn.Sequential(stem, *stages), Pooled(inside)), images()


class SqueezeExcite(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(width, width // 4, 1), nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Any) -> Any:
        y = functional.relu(self.fc1(functional.adaptive_avg_pool2d(x, 1)))
        return x * functional.hardsigmoid(self.fc2(y))


class Inverted(nn.Module):
    """Of a MobileNet: expand, depthwise, project."""

    def __init__(self, width: int, out: int, stride: int, dropout: float) -> None:
        super().__init__()
        inner = width * 4
        self.expand = nn.Sequential(nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner, eps=1e-3))
        self.depthwise = nn.Sequential(
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False), nn.BatchNorm2d(inner, eps=1e-3)
        )
        self.excite = SqueezeExcite(inner)
        self.project = nn.Sequential(
            nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out, eps=1e-3, momentum=0.01)
        )
        self.dropout = nn.Dropout2d(dropout)
        self.adds = stride == 1 and width == out

    def forward(self, x: Any) -> Any:
        y = functional.hardswish(self.expand(x))
        y = self.excite(functional.relu6(self.depthwise(y)))
        y = self.project(y)
        return x + self.dropout(y) if self.adds else y


def mobilenet() -> Made:
    blocks = [
        Inverted(8, 8, 1, 0.0),
        Inverted(8, 16, 2, 0.0),
        Inverted(16, 16, 1, 0.2),
        Inverted(16, 16, 1, 0.2),
    ]
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(inplace=True))
    return Net(nn.Sequential(stem, *blocks), Pooled(16)), images()


class Dense(nn.Module):
    """A layer of a DenseNet: norm, relu, conv, twice; its output is put beside its input."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Any) -> Any:
        y = self.conv1(functional.relu(self.norm1(x)))
        y = self.conv2(functional.relu(self.norm2(y)))
        return torch.cat([x, functional.dropout(y, 0.1, self.training)], 1)


def densenet() -> Made:
    parts: list[nn.Module] = [nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    width = 8
    for _ in range(2):
        for _ in range(3):
            parts.append(Dense(width, 4))
            width += 4
        parts += [
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width // 2, 1, bias=False),
            nn.AvgPool2d(2),
        ]
        width //= 2
    return Net(
        nn.Sequential(*parts), nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), Pooled(width))
    ), images()


def vgg(norm: Callable[..., Any] = parametrizations.spectral_norm) -> Made:
    """Every convolution with spectral normalisation."""
    parts: list[nn.Module] = []
    for width, out in ((3, 8), (8, 8), (8, 16), (16, 16)):
        parts += [norm(nn.Conv2d(width, out, 3, padding=1)), nn.ReLU(inplace=True)]
        if width == out:
            parts.append(nn.MaxPool2d(2))
    head = nn.Sequential(nn.Flatten(), nn.Linear(16 * 64, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 5))
    return Net(nn.Sequential(*parts), head), images()


class Scale(nn.Module):
    """A factor for each channel, so small at first that what is behind it hardly trains."""

    def __init__(self, width: int, size: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), size))

    def forward(self, x: Any) -> Any:
        return x * self.gamma


class DropPath(nn.Module):
    """Leaves out the branch of some samples."""

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Any) -> Any:
        if not self.training or not self.drop_prob:
            return x
        kept = torch.rand(len(x), *[1] * (x.dim() - 1)) >= self.drop_prob
        return x * kept / (1 - self.drop_prob)


class ConvNext(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1, self.pwconv2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale, self.drop_path = Scale(width, 1e-6), DropPath(0.1)

    def forward(self, x: Any) -> Any:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.scale(self.pwconv2(functional.gelu(self.pwconv1(y))))
        return x + self.drop_path(y.permute(0, 3, 1, 2))


class ChannelsLast(nn.Module):
    """LayerNorm of feature maps, by its weights in a function: the module itself is never called."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Any) -> Any:
        y = x.permute(0, 2, 3, 1)
        norm = self.norm
        return functional.layer_norm(y, y.shape[-1:], norm.weight, norm.bias, norm.eps).permute(0, 3, 1, 2)


def convnext() -> Made:
    parts = nn.Sequential(nn.Conv2d(3, 12, 4, 4), ChannelsLast(12), ConvNext(12), ConvNext(12),
                          ChannelsLast(12), nn.Conv2d(12, 24, 2, 2), ConvNext(24))  # fmt: skip
    return Net(parts, Pooled(24)), images()


class WithAuxiliary(Net):
    """As an Inception: a second classifier that is there in training only."""

    def __init__(self, backbone: nn.ModuleDict) -> None:
        super().__init__(backbone, Pooled(16))
        self.auxiliary = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8, eps=0.001), Pooled(8))

    def forward(self, x: Any) -> Any:
        early = self.backbone["early"](x)
        parts = [self.backbone[name](early) for name in ("branch1", "branch2")]
        out = self.head(torch.cat(parts, 1))
        return (out, self.auxiliary(early)) if self.training else out


def inception() -> Made:
    def conv(width: int, out: int, size: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(width, out, size, padding=size // 2, bias=False),
            nn.BatchNorm2d(out, eps=0.001),
            nn.ReLU(),
        )

    parts = {"early": nn.Sequential(conv(3, 8, 3), nn.MaxPool2d(2)), "branch1": conv(8, 8, 1),
             "branch2": nn.Sequential(conv(8, 4, 1), conv(4, 8, 5))}  # fmt: skip
    return WithAuxiliary(nn.ModuleDict(parts)), images()


# --- images to images


class Double(nn.Sequential):
    def __init__(self, width: int, out: int) -> None:
        super().__init__(
            nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        )  # fmt: skip


class Encoder(nn.Module):
    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Double(width, out) for width, out in pairwise(widths))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Any) -> Any:
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
            x = self.pool(x)
        return found


class Decoder(nn.Module):
    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.up, self.stages = nn.ModuleList(), nn.ModuleList()
        for width, out in zip(widths[::-1], widths[-2:0:-1], strict=False):
            self.up.append(nn.ConvTranspose2d(width, out, 2, 2))
            self.stages.append(Double(2 * out, out))
        self.dropout, self.out = nn.Dropout2d(0.2), nn.Conv2d(widths[1], 1, 1)

    def forward(self, found: Any) -> Any:
        x = found[-1]
        for up, stage, skip in zip(self.up, self.stages, found[-2::-1], strict=True):
            x = stage(torch.cat([skip, up(x)], 1))
        return torch.sigmoid(self.out(self.dropout(x)))


def unet() -> Made:
    widths = (3, 4, 8, 16)
    return Net(Encoder(widths), Decoder(widths)), images(2)


class Residual(nn.Module):
    def __init__(self, width: int, **options: Any) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width, **options), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width, **options),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return x + self.block(x)


def style_transfer(count: int = 2, **options: Any) -> Made:
    body = nn.Sequential(
        nn.Conv2d(3, 6, 9, padding=4), nn.InstanceNorm2d(6, **options), nn.ReLU(),
        nn.Conv2d(6, 12, 3, 2, 1), nn.InstanceNorm2d(12, **options), nn.ReLU(),
        Residual(12, **options), Residual(12, **options),
    )  # fmt: skip
    head = nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(12, 6, 3, padding=1),
        nn.InstanceNorm2d(6, **options), nn.ReLU(), nn.Conv2d(6, 3, 9, padding=4), nn.Tanh(),
    )  # fmt: skip
    return Net(body, head), images(count)


def discriminator(norm: Callable[..., Any] = nn.utils.spectral_norm) -> Made:
    """Of a GAN: spectral normalisation by hooks, as torch had it first, and batch normalisation."""
    parts = nn.Sequential(
        norm(nn.Conv2d(3, 8, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True),
        norm(nn.Conv2d(8, 16, 4, 2, 1, bias=False)), nn.BatchNorm2d(16, 0.8), nn.LeakyReLU(0.2, inplace=True),
        nn.Dropout2d(0.25),
    )  # fmt: skip
    return Net(parts, nn.Sequential(norm(nn.Conv2d(16, 1, 8)), nn.Flatten())), images()


# --- detection


class FrozenBatchNorm(nn.Module):
    """All that it holds are buffers, as detectors have it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(width))
        self.register_buffer("bias", torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Any) -> Any:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]


class Stages(nn.Module):
    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        widths = (3, 8, 16, 32)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, out, 3, 2, 1, bias=False), norm(out), nn.ReLU(inplace=True))
            for width, out in pairwise(widths)
        )

    def forward(self, x: Any) -> Any:
        found = {}
        for number, stage in enumerate(self.stages):
            x = stage(x)
            found[str(number)] = x
        return found


class Pyramid(nn.Module):
    """Lateral and top-down connections, and heads that all levels share."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Conv2d(width, 8, 1) for width in (8, 16, 32))
        self.layer = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.classes = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 6, 1)
        )
        self.boxes = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))

    def forward(self, found: Any) -> Any:
        maps = [inner(x) for inner, x in zip(self.inner, found.values(), strict=True)]
        for level in (1, 0):
            maps[level] = maps[level] + functional.interpolate(maps[level + 1], scale_factor=2.0)
        maps = [layer(x) for layer, x in zip(self.layer, maps, strict=True)]
        return {"classes": [self.classes(x) for x in maps], "boxes": [self.boxes(x) for x in maps]}


def detector(norm: Callable[[int], nn.Module] = FrozenBatchNorm) -> Made:
    return Net(Stages(norm), Pyramid()), images(2)


# --- sequences


def tokens(count: int = 4, length: int = 12) -> torch.Tensor:
    return torch.randint(0, 20, (count, length))


class Embedded(nn.Module):
    """Tokens and places to vectors."""

    def __init__(self, width: int, length: int = 12) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, width, padding_idx=0)
        self.places = nn.Parameter(torch.zeros(length, width))
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(0.1)
        self.register_buffer("numbers", torch.arange(length), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.dropout(self.norm(self.tokens(x) + self.places[self.numbers]))


class Averaged(nn.Sequential):
    def forward(self, x: Any) -> Any:
        return super().forward(x.mean(1))


def transformer() -> Made:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    body = nn.Sequential(Embedded(16), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    return Net(body, Averaged(nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 3))), tokens()


class Repeated(nn.Module):
    """One block, called again and again, as in ALBERT; its attention has projections of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Any) -> Any:
        for _ in range(3):
            heads = [
                part(x).unflatten(-1, (2, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
            ]
            found = functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(-2)
            x = self.norm1(x + self.dropout(self.out(found)))
            x = self.norm2(x + self.dropout(self.feed(x)))
        return x


class Tied(nn.Module):
    """Scores of tokens, by the vectors of the tokens themselves."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.dense, self.norm = nn.Linear(16, 16), nn.LayerNorm(16)
        self.decoder = nn.Linear(16, 20)
        self.decoder.weight = embedding.weight

    def forward(self, x: Any) -> Any:
        return self.decoder(self.norm(functional.gelu(self.dense(x))))


def language_model() -> Made:
    embedded = Embedded(16)
    return Net(nn.Sequential(embedded, Repeated(16)), Tied(embedded.tokens)), tokens()


class Last(nn.Module):
    """The last state of a recurrent layer, of which functions use the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 12, num_layers=2, dropout=0.2, bidirectional=True, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.lstm(x)[0][:, -1]


def text_classifier() -> Made:
    body = nn.Sequential(nn.Embedding(20, 16, padding_idx=0), Last())
    return Net(body, nn.Sequential(nn.BatchNorm1d(24), nn.Dropout(0.5), nn.Linear(24, 2))), tokens(8)


class Modulated(nn.Module):
    """Of a diffusion transformer: scale, shift and gate come from a layer that starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.modulation = nn.Linear(width, 3 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Any) -> Any:
        shift, scale, gate = self.modulation(x.mean(1, keepdim=True)).chunk(3, -1)
        y = self.norm(x) * (1 + scale) + shift
        return x + gate * self.attention(y, y, y, need_weights=False)[0]


def diffusion() -> Made:
    """Its last layer starts at zero, too: only the third step reaches the attention."""
    head = nn.Linear(16, 4)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return Net(nn.Sequential(Embedded(16), Modulated(16), Modulated(16)), head), tokens()


class Adapted(nn.Module):
    """A linear layer with a low-rank addition, of which one factor starts at zero."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.base = nn.Linear(width, out)
        self.down, self.up = nn.Linear(width, 2, bias=False), nn.Linear(2, out, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Any) -> Any:
        return self.base(x) + self.up(self.down(x))


def wavenet() -> Made:
    """Dilated convolutions with weight normalisation."""

    def conv(width: int, out: int, dilation: int) -> nn.Module:
        return parametrizations.weight_norm(nn.Conv1d(width, out, 3, padding=dilation, dilation=dilation))

    body = nn.Sequential(conv(2, 8, 1), nn.ReLU(), conv(8, 8, 2), nn.BatchNorm1d(8), nn.ReLU(), conv(8, 8, 4))
    head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), Adapted(8, 3))
    return Net(body, head), torch.randn(4, 2, 32)


class PointNet(nn.Module):
    """A shared perceptron over points, (batch, points, 3), with BatchNorm1d on (batch, channels, points)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 8, 1), nn.Conv1d(8, 16, 1)
        self.norm1, self.norm2 = nn.BatchNorm1d(8), nn.BatchNorm1d(16, affine=False)

    def forward(self, x: Any) -> Any:
        x = functional.relu(self.norm1(self.first(x.transpose(1, 2))))
        return self.norm2(self.second(x)).max(-1).values


def point_cloud() -> Made:
    return Net(PointNet(), nn.Linear(16, 4)), torch.randn(4, 30, 3)


def video() -> Made:
    body = nn.Sequential(
        nn.Conv3d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm3d(4), nn.ReLU(), nn.Dropout3d(0.1),
        nn.Conv3d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm3d(8, momentum=None),
    )  # fmt: skip
    head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 3))
    return Net(body, head), torch.randn(2, 3, 8, 16, 16)


ZOO: dict[str, Callable[[], Made]] = {
    "resnet": resnet,
    "mobilenet": mobilenet,
    "densenet": densenet,
    "inception": inception,
    "convnext": convnext,
    "vgg with spectral norm": vgg,
    "unet": unet,
    "style transfer": style_transfer,
    "style transfer, affine": lambda: style_transfer(affine=True),
    "style transfer, tracked": lambda: style_transfer(affine=True, track_running_stats=True),
    "style transfer, tracked only": lambda: style_transfer(track_running_stats=True),
    "style transfer, one image": lambda: style_transfer(1, affine=True),
    "discriminator": discriminator,
    "detector, frozen norms": detector,
    "detector": lambda: detector(nn.BatchNorm2d),
    "transformer": transformer,
    "language model, tied and repeated": language_model,
    "text classifier": text_classifier,
    "diffusion transformer": diffusion,
    "wavenet with weight norm": wavenet,
    "point cloud": point_cloud,
    "video": video,
}


def made(name: str, frozen: bool = False, handed: bool = True, kept: bool = False) -> dict[str, Any]:
    """The model and its batch. frozen: its backbone's parameters; handed: whether that is handed over in
    train(); kept: whether train() leaves it in eval()."""
    torch.manual_seed(0)
    model, batch = ZOO[name]()
    if frozen:
        model.backbone.requires_grad_(False)
    if not handed:
        model.backbone.eval()
    model.kept = kept
    return {"model": model, "input": batch}


# --- for the command line


def resnet50() -> dict[str, Any]:
    """Of the size that people use, its backbone frozen, and right."""
    model, batch = resnet((3, 4, 6, 3), 64)[0], images(4, 64)
    model.backbone.requires_grad_(False)
    model.kept = True
    return {"model": model, "input": batch}


def bert() -> dict[str, Any]:
    """Six layers of 256."""
    layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
    body = nn.Sequential(Embedded(256), nn.TransformerEncoder(layer, 6, enable_nested_tensor=False))
    return {"model": Net(body, Averaged(nn.Linear(256, 3))), "input": tokens(8)}
