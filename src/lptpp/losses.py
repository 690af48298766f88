"""Losses on the cosines of a classifier, for training splits with long-tailed class counts.

Every loss is built from the class counts, `counts` (C,), and the logit scale s. It maps cosines z (B, C) and labels
y (B,) to the mean over the batch, a float32 scalar. It computes in float32 regardless of the type of the cosines, and
treats a class without training images as if it had one.
"""

import inspect
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import nn

from lptpp.config.choices import ANY, LOSS_OPTIONS, check_loss


def at_least_one(counts: torch.Tensor) -> torch.Tensor:
    """Return the class counts (C,) in float64, with 1 for an empty class, so that logarithms and ratios are finite."""
    return counts.double().clamp(min=1)


def rarity(counts: torch.Tensor) -> torch.Tensor:
    """Return δ_c = (log n_max − log n_c) / (log n_max − log n_min), (C,); all zero when balanced."""
    logs = at_least_one(counts).log()
    span = logs.max() - logs.min()
    return ((logs.max() - logs) / span if span > 0 else torch.zeros_like(logs)).float()


def log_of_rest(log_p: torch.Tensor) -> torch.Tensor:
    """Return log(1 − p) from log p, with finite value and gradient even if p rounds to 1."""
    return (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).eps).log()


class GCL(nn.Module):
    """Gaussian clouded logits: cross-entropy on s·z' (CVPR 2022, arXiv 2305.11733).

    z'_c = z_c − a·|ε|·δ_c − m·[c = y], with ε ~ N(0, 1/3) clipped to [−1, 1], one for each logit, from
    torch's global generator; δ is the `rarity` of the classes, a is `noise`, m is `margin`.
    """

    delta: torch.Tensor

    def __init__(self, counts: torch.Tensor, scale: float = 20.0, margin: float = 0.1, noise: float = 0.5) -> None:
        super().__init__()
        self.scale, self.margin, self.noise = scale, margin, noise
        self.register_buffer("delta", rarity(counts), persistent=False)  # (C,)

    def perturbed(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return z' (B, C) in float32 for cosines (B, C) and labels (B,)."""
        z = cosines.float()
        epsilon = (torch.randn_like(z) / 3).clamp(-1, 1)
        return z - self.noise * epsilon.abs() * self.delta - self.margin * F.one_hot(labels, z.shape[1])

    def forward(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the batch."""
        return F.cross_entropy(self.scale * self.perturbed(cosines, labels), labels)


class AGCL(GCL):
    """Asymmetric Gaussian clouded logits, the loss of LPT (arXiv 2210.01033) and LPT++ (arXiv 2409.11323).

    − Σ_c t_c·w_c·log p_c, with p = softmax(s·z') of `GCL`, t the one-hot labels smoothed by `smoothing`, and
    w_c = (1 − p_c)^{γ+} for c = y, p_c^{γ−} otherwise (asymmetric loss, arXiv 2009.14119). γ+ is
    `positive_focus`, γ− is `negative_focus`: published are 0 and 4 on class-balanced batches, 0.5 and 8 on
    instance-balanced ones.
    """

    def __init__(
        self,
        counts: torch.Tensor,
        scale: float = 20.0,
        margin: float = 0.1,
        noise: float = 0.5,
        positive_focus: float = 0.0,
        negative_focus: float = 4.0,
        smoothing: float = 0.1,
    ) -> None:
        super().__init__(counts, scale, margin, noise)
        self.positive_focus, self.negative_focus = positive_focus, negative_focus
        self.smoothing = smoothing

    def forward(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the batch."""
        log_p = F.log_softmax(self.scale * self.perturbed(cosines, labels), dim=1)  # (B, C)
        classes = log_p.shape[1]
        target = F.one_hot(labels, classes)
        smoothed = (1 - self.smoothing) * target + self.smoothing / classes
        # The powers are taken as exp(γ·log): the derivative of a power below one is infinite at zero.
        log_weight = torch.where(target.bool(), self.positive_focus * log_of_rest(log_p), self.negative_focus * log_p)
        return -(smoothed * log_weight.exp() * log_p).sum(dim=1).mean()


class CrossEntropy(nn.Module):
    """Softmax cross-entropy on s·z with label smoothing; the class counts are unused."""

    def __init__(self, counts: torch.Tensor, scale: float = 20.0, smoothing: float = 0.0) -> None:
        super().__init__()
        self.scale, self.smoothing = scale, smoothing

    def forward(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the batch."""
        return F.cross_entropy(self.scale * cosines.float(), labels, label_smoothing=self.smoothing)


class LogitAdjustment(nn.Module):
    """Logit-adjusted cross-entropy (arXiv 2007.07314): softmax over s·z_c + τ·log π_c, π_c = n_c / Σ n.

    At τ = 1 this is balanced softmax (arXiv 2007.10740).
    """

    adjustment: torch.Tensor

    def __init__(self, counts: torch.Tensor, scale: float = 20.0, tau: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        prior = at_least_one(counts) / at_least_one(counts).sum()
        self.register_buffer("adjustment", (tau * prior.log()).float(), persistent=False)  # (C,)

    def forward(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the batch."""
        return F.cross_entropy(self.scale * cosines.float() + self.adjustment, labels)


class LDAM(nn.Module):
    """Label-distribution-aware margin (arXiv 1906.07413): cross-entropy on s·(z_c − Δ_c·[c = y]).

    Δ_c is proportional to n_c^{−1/4}, and `largest_margin` for the rarest class.
    """

    margins: torch.Tensor

    def __init__(self, counts: torch.Tensor, scale: float = 20.0, largest_margin: float = 0.5) -> None:
        super().__init__()
        self.scale = scale
        margins = at_least_one(counts) ** -0.25
        self.register_buffer("margins", (largest_margin * margins / margins.max()).float(), persistent=False)

    def forward(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the batch."""
        z = cosines.float()
        return F.cross_entropy(self.scale * (z - self.margins * F.one_hot(labels, z.shape[1])), labels)


class Focal(nn.Module):
    """Focal loss (arXiv 1708.02002, equation 4) on softmax(s·z): −(1 − p_y)^γ·log p_y, γ is `focus`."""

    def __init__(self, counts: torch.Tensor, scale: float = 20.0, focus: float = 2.0) -> None:
        super().__init__()
        self.scale, self.focus = scale, focus

    def forward(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the batch."""
        log_p = -F.cross_entropy(self.scale * cosines.float(), labels, reduction="none")  # (B,)
        return -((self.focus * log_of_rest(log_p)).exp() * log_p).mean()


class ClassBalanced(nn.Module):
    """Cross-entropy weighted by the effective number of images of the class (arXiv 1901.05555).

    The weight of class c is (1 − β) / (1 − β^{n_c}), scaled to mean 1 over the classes; 0 ≤ β < 1.
    """

    weights: torch.Tensor

    def __init__(self, counts: torch.Tensor, scale: float = 20.0, beta: float = 0.9999) -> None:
        super().__init__()
        self.scale = scale
        weights = 1 / (1 - beta ** at_least_one(counts))
        self.register_buffer("weights", (weights / weights.mean()).float(), persistent=False)  # (C,)

    def forward(self, cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the batch."""
        each = F.cross_entropy(self.scale * cosines.float(), labels, reduction="none")  # (B,)
        return (self.weights[labels] * each).mean()


LOSSES: dict[str, type[nn.Module]] = {
    "a_gcl": AGCL,
    "gcl": GCL,
    "cross_entropy": CrossEntropy,
    "logit_adjustment": LogitAdjustment,
    "ldam": LDAM,
    "focal": Focal,
    "class_balanced": ClassBalanced,
}


def register_loss(name: str) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Return a decorator that adds a loss class; its arguments after `counts` and `scale` become its options."""

    def register(loss: type[nn.Module]) -> type[nn.Module]:
        LOSSES[name] = loss
        LOSS_OPTIONS[name] = dict.fromkeys(option_names(loss), ANY)
        return loss

    return register


def option_names(loss: type[nn.Module]) -> list[str]:
    """Return the options of a loss class."""
    return [name for name in inspect.signature(loss).parameters if name not in ("counts", "scale")]


def build_loss(name: str, counts: torch.Tensor, scale: float, options: Mapping[str, float]) -> nn.Module:
    """Return the loss of this name for class counts (C,).

    Raises:
        UserError: unknown name or option.
    """
    check_loss(name, options)
    return LOSSES[name](counts, scale, **options)
