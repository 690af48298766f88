"""ONNX files of the answer and of each expert, each compared with PyTorch before it is declared written."""

import json
import logging
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.export.description import description
from lptpp.export.programs import Program, answer_program, expert_programs, traced
from lptpp.export.samples import Run, Samples, largest_difference, message
from lptpp.inference.model import Model
from lptpp.utils.extras import extra
from lptpp.utils.io import write_json
from lptpp.utils.progress import progress_bar


def write_onnx(model: Model, truth: Samples, folder: Path) -> Iterator[str]:
    """Write model.onnx, expert-NAME.onnx and model.json; yield a line about each.

    Raises `UserError` where the extra `onnx` is missing or a file does not say what PyTorch says.
    """
    _, _, runtime = (extra(name, "onnx", "lptpp export --to onnx") for name in ("onnx", "onnxscript", "onnxruntime"))
    programs = [answer_program(model.mixture), *expert_programs(model.mixture)]
    about = description(model, programs, ".onnx")
    with progress_bar("Exporting", 3 * len(programs)) as bar:
        for program in programs:
            path = folder / f"{program.name}.onnx"
            bar.advance(0, f"{path.name}: tracing")
            graph = traced(program, truth.pictures)
            bar.advance(1, f"{path.name}: converting")
            _save(graph, program, about, path)
            bar.advance(1, f"{path.name}: comparing with PyTorch")
            difference = largest_difference(program, _running(runtime, path, program), truth)
            bar.advance(1)
            about["files"][path.name]["largest_difference_from_pytorch"] = difference
            yield message(path, difference)
    write_json(folder / "model.json", about)


def _save(graph: torch.export.ExportedProgram, program: Program, about: dict[str, Any], path: Path) -> None:
    converted = torch.onnx.export(
        graph,
        input_names=program.inputs,
        output_names=list(program.outputs),
        dynamic_shapes=({0: "batch"}, *(None for _ in program.inputs[1:])),  # one name: all have the same size
        dynamo=True,
        verbose=False,
        optimize=False,  # its search for patterns takes minutes, and the runtime searches for its own
    )
    assert converted is not None
    logging.getLogger("onnxscript").setLevel(logging.ERROR)  # it warns of what it leaves as it is
    optimizer = import_module("onnxscript.optimizer")
    optimizer.fold_constants(converted.model)
    optimizer.remove_unused_nodes(converted.model)
    for node in converted.model.graph:
        node.metadata_props.clear()  # how this package's code is built, of use to nobody
    converted.model.metadata_props["lptpp"] = json.dumps(about, ensure_ascii=False)
    converted.save(path)


def _running(runtime: Any, path: Path, program: Program) -> Run:
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(pictures: Sequence[torch.Tensor]) -> Sequence[np.ndarray]:
        given = dict(zip(program.inputs, pictures, strict=True))
        return session.run(list(program.outputs), {name: views.numpy() for name, views in given.items()})

    return run
