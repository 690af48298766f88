"""Every error message about backbones, in one file: tests/golden/backbone_errors.txt."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lptpp.backbones.card_files import CARD
from lptpp.backbones.load import load_backbone
from lptpp.backbones.weights import downloading, load_strictly
from lptpp.utils.errors import UserError
from tests import golden
from tests.towers import VISION, write_card

Case = tuple[str, Callable[[], object]]


def message(case: Callable[[], object]) -> str:
    """Return the message of an error, without what depends on the versions of timm, open_clip and safetensors."""
    with pytest.raises(UserError) as error:
        case()
    text = re.sub(r"(did you mean|expected one of) .*", r"\1 …", str(error.value))
    return re.sub(r"\(Error while.*\)", "(…)", text)


def load(kind: str, name: str, weights: object = None, size: int | None = None) -> Callable[[], object]:
    return lambda: load_backbone(kind, name, None if weights is None else str(weights), size)


def failed_download() -> None:
    with downloading("the weights of x"):
        raise OSError("no route to host")


def cases(root: Path) -> Iterator[Case]:
    yield "unknown kind", load("visoin", "vision_lite2")
    yield "another kind", load("vision", "clip_lite0")
    yield "unknown vision name", load("vision", "vit_tiny_patch16_225")
    yield "vision name without tag", load("vision", "vit_tiny_patch16_224")
    yield "vision name with unknown tag", load("vision", "vit_tiny_patch16_224.mine")
    yield "another architecture", load("vision", "resnet18.a1_in1k")
    yield "unknown language name", load("language", "ViT-B-23", "openai")
    yield "no language weights", load("language", "ViT-B-32")
    yield "unknown language weights", load("language", "ViT-B-32", "openia")
    yield "another image tower", load("language", "RN50", "openai")
    yield "another GELU", load("language", "ViT-B-16", "openai")
    yield "image size", load("vision", "vision_lite2", size=100)
    yield "template", lambda: load_backbone("language", "clip_lite0").text.class_vectors(["a"], ["photo"])  # type: ignore[union-attr]
    yield "no file", load("vision", "test_vit", root / "none.safetensors")
    (root / "w.pt").touch()
    yield "pickle", load("vision", "test_vit", root / "w.pt")
    (root / "broken.safetensors").write_bytes(b"no")
    yield "damaged file", load("vision", "test_vit", root / "broken.safetensors")
    path = write_card(root, VISION)
    weights = load_file(path)
    yield "name in the card", load("vision", "another", path)
    save_file(weights, path, {CARD: "{"})
    yield "card is not JSON", load("vision", "vision_random", path)
    save_file(weights, path, {CARD: json.dumps(VISION | {"stem": "resnet18"})})
    yield "invalid card", load("vision", "vision_random", path)
    yield "weights", lambda: load_strictly(nn.Linear(3, 2), {"weight": torch.zeros(2, 4)}, "w.safetensors")
    yield "download", failed_download


def test_error_messages(tmp_path: Path) -> None:
    messages = [(name, message(case)) for name, case in cases(tmp_path)]
    lines = [f"{name}:\n" + indent(text.replace(str(tmp_path), "DIR"), "  ") for name, text in messages]
    golden.check("backbone_errors", "\n".join([*lines, ""]))
