"""The memory that training takes on a GPU in bf16, computed: `python -m benchmarks.backbones.memory` prints a table.

Weights of frozen layers are bf16, and their products keep no inputs for the backward pass. What autograd keeps in a
block, for each token, is measured in tests/benchmarks/test_backbones.py:

    inputs of both norms            2 D   float32
    q, k, v, output of attention    4 D   bf16
    input of the adapter              D   bf16      (frozen in phase 2, where it keeps nothing)
    input of the MLP's activation     M   bf16
"""

from typing import NamedTuple

GIGA = 1e9  # bytes


class Tower(NamedTuple):
    """The sizes of a plain ViT."""

    name: str
    batch: int
    width: int  # D
    depth: int  # L
    tokens: int  # N
    mlp: int  # M


TOWERS = [
    Tower("ViT-B/16 at 224 px", 128, 768, 12, 197, 3072),
    Tower("DINOv3 ViT-B/16 at 256 px", 128, 768, 12, 261, 3072),
    Tower("ViT-L/14 at 224 px", 128, 1024, 24, 257, 4096),
    Tower("ViT-L/14 at 336 px", 64, 1024, 24, 577, 4096),
    Tower("ViT-H/14 at 224 px", 64, 1280, 32, 257, 5120),
    Tower("ViT-g/14 at 224 px", 64, 1408, 40, 257, 6144),
]
HEADS = ("backbone, batch", "D, M, L, N", "weights", "phase 1", "with checkpointing", "phase 2, K = 6")


def weight_bytes(tower: Tower) -> int:
    """Return the bytes of the weights of the blocks."""
    return 2 * tower.depth * (4 * tower.width**2 + 2 * tower.width * tower.mlp)


def block_bytes(tower: Tower, trained_adapter: bool = True) -> int:
    """Return the bytes that one block keeps for the backward pass of a batch."""
    widths = 18 if trained_adapter else 16
    return tower.batch * tower.tokens * (widths * tower.width + 2 * tower.mlp)


def phase1_bytes(tower: Tower, checkpointing: bool = False) -> int:
    """Return the bytes that all blocks keep; with checkpointing, their float32 inputs and one block computed again."""
    if checkpointing:
        return tower.depth * tower.batch * tower.tokens * 4 * tower.width + block_bytes(tower)
    return tower.depth * block_bytes(tower)


def phase2_bytes(tower: Tower, group_blocks: int = 6) -> int:
    """Return the bytes that the blocks with group prompts keep."""
    return group_blocks * block_bytes(tower, trained_adapter=False)


def table() -> list[str]:
    """Return the lines of a Markdown table."""
    return [f"| {' | '.join(HEADS)} |", "| --- " * len(HEADS) + "|", *map(row, TOWERS)]


def row(tower: Tower) -> str:
    """Return the row of one tower."""
    sizes = f"{tower.width}, {tower.mlp}, {tower.depth}, {tower.tokens}"
    needed = weight_bytes(tower), phase1_bytes(tower), phase1_bytes(tower, checkpointing=True), phase2_bytes(tower)
    return f"| {tower.name}, {tower.batch} | {sizes} | {' | '.join(f'{one / GIGA:.1f} GB' for one in needed)} |"


if __name__ == "__main__":
    print("\n".join(table()))
