"""Draw the figure of the method: `python docs/figures/method.py` writes method.svg to its own folder."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

FROZEN, SHARED, GROUP, SCORER, INK = "#dfe5ec", "#8ecae6", "#ffb703", "#c3aed6", "#22303c"


def box(ax: Axes, x: float, y: float, width: float, height: float, text: str, color: str, size: float = 9) -> None:
    """Draw a rounded box with centered text."""
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.04,rounding_size=0.08", fc=color, ec=INK))
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=size, color=INK)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    """Draw an arrow."""
    style = f"arc3,rad={bend}"
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=INK, connectionstyle=style))


def expert(ax: Axes, y: float, name: str, backbone: str) -> None:
    """Draw one expert: early blocks, late blocks with group prompts, head."""
    ax.text(1.75, y + 2.02, name, fontsize=10.5, weight="bold", color=INK)
    box(ax, 1.75, y + 0.45, 2.5, 0.75, f"first L−K blocks\n{backbone}, frozen", FROZEN)
    box(ax, 5.95, y + 0.45, 2.5, 0.75, "last K blocks\nfrozen", FROZEN)
    box(ax, 9.3, y + 0.45, 1.25, 0.75, "cosine\nhead", SHARED)
    box(ax, 1.75, y + 1.35, 2.5, 0.42, "shared prompts + adapters", SHARED, 8.5)
    box(ax, 5.95, y + 1.35, 2.5, 0.42, "shared prompts + adapters", SHARED, 8.5)
    box(ax, 5.95, y - 0.45, 2.5, 0.6, "top k of m groups of\nprompts, by their keys", GROUP, 8.5)
    arrow(ax, (4.33, y + 0.82), (5.85, y + 0.82))
    arrow(ax, (8.53, y + 0.82), (9.2, y + 0.82))
    arrow(ax, (7.2, y + 0.2), (7.2, y + 0.38))
    arrow(ax, (4.33, y + 0.55), (5.85, y - 0.15), 0.15)
    ax.text(4.35, y - 0.32, "query: [CLS] of\nthe phase-1 model", fontsize=8, color=INK, ha="left", va="center")


def legend(ax: Axes) -> None:
    """Explain the colors."""
    entries = (
        (FROZEN, "frozen: pretrained ViT"),
        (SHARED, "phase 1"),
        (GROUP, "phase 2 (and a second head)"),
        (SCORER, "phase 3"),
    )
    for x, (color, text) in zip((0.1, 3.3, 5.0, 8.7), entries, strict=True):
        box(ax, x, -0.95, 0.3, 0.2, "", color)
        ax.text(x + 0.45, -0.85, text, fontsize=9, va="center", color=INK)


def draw() -> None:
    """Write the figure as SVG."""
    plt.rcParams["svg.hashsalt"] = "lptpp"  # reproducible bytes
    figure, ax = plt.subplots(figsize=(13.2, 6.4))
    box(ax, 0.05, 2.35, 0.95, 0.9, "image", "white", 10)
    expert(ax, 3.55, "visual-only expert", "timm ViT")
    expert(ax, 0.35, "vision-language expert", "CLIP image tower")
    ax.text(10.62, 0.28, "initialized from\nthe class names", fontsize=8, color=INK, ha="right", va="top")
    arrow(ax, (1.05, 2.95), (1.66, 4.35))
    arrow(ax, (1.05, 2.65), (1.66, 1.2))
    box(ax, 11.2, 2.35, 1.15, 0.9, "scorer\nw₁, w₂", SCORER, 10)
    arrow(ax, (10.62, 4.3), (11.5, 3.35))
    arrow(ax, (10.62, 1.2), (11.5, 2.25))
    arrow(ax, (12.43, 2.8), (12.9, 2.8))
    ax.text(12.95, 2.8, "w₁ p₁ + w₂ p₂", fontsize=11, va="center", color=INK)
    legend(ax)
    ax.set_xlim(0, 14.4)
    ax.set_ylim(-1.1, 5.8)
    ax.axis("off")
    figure.savefig(Path(__file__).with_suffix(".svg"), bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    draw()
