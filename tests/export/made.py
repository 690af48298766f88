"""A small trained model: two experts of different size, normalization and parts, and images they differ on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.config import Settings
from lptpp.data.transforms import evaluation_transform
from lptpp.inference.model import Model
from lptpp.inference.pipeline import BatchPrediction, batch_prediction
from lptpp.inference.runtime import Runner
from lptpp.models.mixture import Mixture
from tests.models.test_mixture import make_mixture

CLASSES = ["oak", "elm, red", 'a "b" <script>', "ätherisch", "最"]
WIDE = Preprocessing((32, 32), (0.1, 0.4, 0.6), (0.2, 0.3, 0.4), "bilinear", crop_share=0.8)


def make_model(*names: str) -> Model:
    mixture = make_mixture(*names, trained=len(names) > 1).requires_grad_(False)
    if "wide" in names:
        mixture.experts["wide"].backbone.preprocessing = WIDE
    return Model(mixture, CLASSES, np.array([9, 4, 2, 1, 0]), Settings(), Runner(torch.device("cpu")))


def make_images(count: int, seed: int = 0) -> list[np.ndarray]:
    """Return images (40, 50, 3) that differ much: stripes of all widths in all colors."""
    draw = np.random.default_rng(seed)
    images = []
    for number in range(count):
        wave = np.sin(np.arange(50) * (0.2 + 0.3 * number)) * 90 + 120
        noise = draw.integers(-30, 30, (40, 50, 3))
        images.append((wave[None, :, None] * draw.random(3) + noise).clip(0, 255).astype(np.uint8))
    return images


def save_images(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path, image in zip(paths, make_images(count), strict=True):
        Image.fromarray(image).save(path)
    return paths


def expected_prediction(mixture: Mixture, images: list[np.ndarray]) -> BatchPrediction:
    """Return the prediction along the path of `lptpp predict`."""
    tensors = [torch.from_numpy(image).permute(2, 0, 1) for image in images]
    transforms = {name: evaluation_transform(expert.backbone.preprocessing) for name, expert in mixture.experts.items()}
    with torch.no_grad():
        outputs = mixture.forward_experts(
            {name: torch.stack(list(map(transform, tensors))) for name, transform in transforms.items()}
        )
    return batch_prediction(mixture, outputs)


def prepared(arrays: list[np.ndarray], inputs: Mapping[str, Mapping]) -> dict[str, np.ndarray]:
    """Return the `inputs` of model.json, by the code of docs/export.md."""
    code = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8").split("```python\n")[1]
    names: dict = {}
    start, end = code.index("def prepare"), code.index("session =")
    exec("import numpy as np\nfrom PIL import Image, ImageOps\n" + code[start:end], names)
    images = [Image.fromarray(array) for array in arrays]
    names["Image"] = type("Files", (), {"open": staticmethod(lambda image: image), "Resampling": Image.Resampling})
    return {name: np.concatenate([names["prepare"](image, how) for image in images]) for name, how in inputs.items()}
