"""What training costs on 1, 8 and 64 GPUs, on paper: `python -m benchmarks.scale.paper`; nothing is measured.

FLOPs are those of matrix products, two for each multiplication and addition. The assumptions are in `Machine`.
"""

from typing import NamedTuple

GPUS = (1, 8, 64)
EXPERTS = 2
STREAMS = 1  # of each step: these presets sample one


class Tower(NamedTuple):
    """A ViT: width D, blocks L, tokens N, patch size, MLP ratio."""

    width: int = 768
    blocks: int = 12
    tokens: int = 197
    patch: int = 16
    ratio: int = 4

    def forward(self, extra: int = 0) -> float:
        """Return the FLOPs of an image; `extra` prompts per block are keys and values only."""
        n, d = self.tokens, self.width
        linear = n * (4 + 2 * self.ratio) * d * d + extra * 2 * d * d
        attention = 2 * n * (n + extra) * d
        return 2.0 * (self.blocks * (linear + attention) + (n - 1) * 3 * self.patch**2 * d)


class Machine(NamedTuple):
    """Assumptions: bf16 rate and the share of it that is reached, images per second from 16 cores, price."""

    flops: float = 989e12  # an H100 SXM, as its data sheet says
    share: float = 0.40
    loader: float = 16 * 150.0  # images per second of a GPU's 16 cores: 150 JPEG files of 500 x 375 pixels per core
    exchange: float = 0.005  # seconds a step for 1.7 million numbers between machines
    dollars: float = 3.0  # an hour of a GPU


class Training(NamedTuple):
    """Images of a data set, epochs of phases 1 and 2, images in a step: of one GPU, and at most of all."""

    name: str
    images: int
    epochs: tuple[int, int] = (10, 5)  # of the preset vit_base
    batch: int = 128
    largest: int = 1024


TRAININGS = (Training("ImageNet-LT", 115_846), Training("iNaturalist 2018", 437_513))


class Cost(NamedTuple):
    """Hours, dollars, and which part decides the time of a step."""

    hours: float
    dollars: float
    limit: str


def phase_flops(tower: Tower, shared: int = 10, group: int = 8) -> tuple[float, float]:
    """Return the FLOPs of a training image in phases 1 and 2, without adapters.

    Frozen weights need no gradient, so a backward pass takes as much as a forward pass. Phase 2 computes the query by
    all blocks, then the last half of the blocks once more with group prompts, and passes gradients through that half.
    """
    return 2 * tower.forward(shared), tower.forward(shared) + tower.forward(shared + group)


def cost(training: Training, gpus: int, tower: Tower | None = None, machine: Machine | None = None) -> Cost:
    """Return what phases 1 and 2 of both experts cost."""
    tower, machine = tower or Tower(), machine or Machine()
    batch = min(training.batch * gpus, training.largest)
    images = batch * STREAMS / gpus  # of a step, on each GPU
    hours, limits = 0.0, dict[str, float]()
    for flops, epochs in zip(phase_flops(tower), training.epochs, strict=True):
        steps = -(-training.images // batch) * epochs
        parts = {"computation": images * flops / (machine.flops * machine.share), "loader": images / machine.loader}
        slowest = max(parts, key=parts.__getitem__)
        exchange = machine.exchange if gpus > 1 else 0.0
        limit = "exchange" if exchange > parts[slowest] else slowest
        seconds = EXPERTS * steps * (parts[slowest] + exchange)
        limits[limit] = limits.get(limit, 0.0) + seconds
        hours += seconds / 3600
    return Cost(hours, hours * gpus * machine.dollars, max(limits, key=limits.__getitem__))


def main() -> None:
    """Print a Markdown table."""
    print("| data set | GPUs | hours | US dollars | limit |\n| --- | --- | --- | --- | --- |")
    for training in TRAININGS:
        for gpus in GPUS:
            found = cost(training, gpus)
            print(f"| {training.name} | {gpus} | {found.hours:.2f} | {found.dollars:.0f} | {found.limit} |")


if __name__ == "__main__":
    main()
