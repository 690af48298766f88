"""`--to torch`: a `torch.export` program that runs without this package (docs/export.md)."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.export.programs import description, result_program, traced
from lptpp.export.samples import Samples, largest_difference, summary_line
from lptpp.inference.model import Model
from lptpp.utils.disk import atomic_write
from lptpp.utils.io import write_json
from lptpp.utils.progress import progress_bar


def write_torch(model: Model, expected: Samples, folder: Path) -> Iterator[str]:
    """Write model.pt2 and model.json; yield a summary line.

    Raises:
        UserError: the program, read back, does not reproduce the predictions of the model.
    """
    program = result_program(model.mixture)
    path, about = folder / f"{program.name}.pt2", description(model, [program], ".pt2")
    with progress_bar("Exporting", 2, unit="steps") as bar:
        bar.advance(0, f"{path.name}: tracing")
        graph = traced(program, expected.images)
        _save(graph, path, about)
        bar.advance(1, f"{path.name}: checking")
        loaded = torch.export.load(path).module()  # a file that this function has just written

        def run(images: Sequence[torch.Tensor]) -> Sequence[np.ndarray]:
            return [output.numpy() for output in loaded(*images)]

        difference = largest_difference(program, run, expected)
        bar.advance(1)
    about["files"][path.name]["largest_difference_from_pytorch"] = difference
    yield summary_line(path, difference)
    write_json(folder / "model.json", about)


def _save(graph: torch.export.ExportedProgram, path: Path, about: dict[str, Any]) -> None:
    """Write a program by way of memory: PyTorch aborts the process if the disk does not take it."""
    content = io.BytesIO()
    torch.export.save(graph, content, extra_files={"lptpp.json": json.dumps(about, ensure_ascii=False)})
    with atomic_write(path, "wb") as file:
        file.write(content.getbuffer())
