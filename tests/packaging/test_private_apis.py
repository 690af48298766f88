"""Private names of other packages that lptpp uses: each is listed here and does what lptpp relies on.

A new release may change them without notice. If one of these tests fails, look for a public replacement first.
"""

import ast

import timm
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from tests.packaging.project import SOURCES

PRIVATE = {"AcceleratorState._reset_state", "tower._pos_embed", "os._exit"}  # the last is documented
OWN = {"self", "cls"}


def test_no_other_private_name_is_used():
    found = set()
    for path in SOURCES.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                owner = ast.unparse(node.value)
                if owner not in OWN and node.attr not in defined:
                    found.add(f"{owner}.{node.attr}")
            elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("lptpp"):
                found |= {f"{node.module}.{one.name}" for one in node.names if private(f"{node.module}.{one.name}")}
    assert found - {name for name in found if name.endswith(OWN_FIELDS)} == PRIVATE


OWN_FIELDS = ("._asdict", "._replace", "._fields")  # public members of a NamedTuple, in spite of their names


def private(path: str) -> bool:
    """Say whether a part of a dotted path is private; `__future__` is not."""
    return any(part.startswith("_") and not part.startswith("__") for part in path.split("."))


def test_accelerator_state_is_reset_between_runs_of_different_precision():
    for precision in ("bf16", "no"):
        AcceleratorState._reset_state(reset_partial_state=True)
        assert Accelerator(cpu=True, mixed_precision=precision).mixed_precision == precision


def test_pos_embed_prepends_the_class_token_and_adds_the_position_embeddings():
    tower = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32, depth=1).eval()
    patches = torch.randn(2, 4, tower.embed_dim)  # (B, N, D)
    expected = torch.cat([tower.cls_token.expand(2, -1, -1), patches], dim=1) + tower.pos_embed
    assert torch.equal(tower._pos_embed(patches), expected)
