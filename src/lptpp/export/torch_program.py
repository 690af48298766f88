"""A plain PyTorch program of the answer, which runs without this package (docs/export.md)."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from lptpp.export.description import description
from lptpp.export.programs import answer_program, traced
from lptpp.export.samples import Samples, largest_difference, message
from lptpp.inference.model import Model
from lptpp.utils.io import write_json
from lptpp.utils.progress import progress_bar


def write_torch(model: Model, truth: Samples, folder: Path) -> Iterator[str]:
    """Write model.pt2 and model.json; yield a line about the former.

    Raises `UserError` where the program, read back, does not say what the model says.
    """
    program = answer_program(model.mixture)
    path, about = folder / f"{program.name}.pt2", description(model, [program], ".pt2")
    with progress_bar("Exporting", 2) as bar:
        bar.advance(0, f"{path.name}: tracing")
        graph = traced(program, truth.pictures)
        torch.export.save(graph, path, extra_files={"lptpp.json": json.dumps(about, ensure_ascii=False)})
        bar.advance(1, f"{path.name}: comparing")
        again = torch.export.load(path).module()  # what this function has just written

        def run(pictures: Sequence[torch.Tensor]) -> Sequence[np.ndarray]:
            return [output.numpy() for output in again(*pictures)]

        difference = largest_difference(program, run, truth)
        bar.advance(1)
    about["files"][path.name]["largest_difference_from_pytorch"] = difference
    yield message(path, difference)
    write_json(folder / "model.json", about)
