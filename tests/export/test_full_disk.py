"""Exported programs on a disk that is full: one sentence that names the output, no part of it, and not an abort."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lptpp.export import onnx_files, torch_program
from lptpp.export.programs import Program
from lptpp.export.write import SAFE, appearing
from lptpp.utils.disk import CannotWrite
from tests.disks import fill, small_disk

WIDTH = 200  # its weights take 160 KB


def as_torch(graph: Any, program: Program, path: Path) -> None:
    torch_program._save(graph, path, {})


def as_onnx(graph: Any, program: Program, path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnx_files._save(graph, program, {}, path)


@pytest.mark.parametrize("save", [as_torch, as_onnx])
def test_a_program_is_not_written_to_a_full_disk(save: Callable, tmp_path: Path) -> None:
    program = Program("model", nn.Linear(WIDTH, WIDTH), ("a",), {"probabilities": ["batch", WIDTH]})
    batch = torch.export.Dim("batch")
    graph = torch.export.export(program.module, (torch.zeros(3, WIDTH),), dynamic_shapes=({0: batch},))
    with small_disk(tmp_path / "disk", 1000) as disk:
        output = disk / "out"
        ballast = fill(disk, left=40)
        with pytest.raises(CannotWrite) as found, appearing(output) as folder:
            save(graph, program, folder / "model")
        assert str(found.value) == (
            f"{output} cannot be written (No space left on device): make room, then repeat the command. {SAFE}"
        )
        assert list(disk.iterdir()) == [ballast]
        ballast.unlink()
        with appearing(output) as folder:
            save(graph, program, folder / "model")
        assert [path.name for path in disk.rglob("*")] == ["out", "model"]
