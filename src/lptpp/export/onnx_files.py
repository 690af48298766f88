"""`--to onnx`: ONNX files of the mixture and of each expert, each checked against PyTorch."""

import json
import logging
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.export.programs import Program, description, expert_programs, result_program, traced
from lptpp.export.samples import Runtime, Samples, largest_difference, summary_line
from lptpp.inference.model import Model
from lptpp.utils.extras import extra
from lptpp.utils.io import write_json
from lptpp.utils.progress import progress_bar


def write_onnx(model: Model, expected: Samples, folder: Path) -> Iterator[str]:
    """Write model.onnx, expert-NAME.onnx and model.json; yield a summary line per file.

    Raises:
        UserError: the extra `onnx` is not installed, or a file does not reproduce PyTorch's predictions.
    """
    _, _, runtime = (extra(name, "onnx", "lptpp export --to onnx") for name in ("onnx", "onnxscript", "onnxruntime"))
    programs = [result_program(model.mixture), *expert_programs(model.mixture)]
    about = description(model, programs, ".onnx")
    with progress_bar("Exporting", 3 * len(programs)) as bar:
        for program in programs:
            path = folder / f"{program.name}.onnx"
            bar.advance(0, f"{path.name}: tracing")
            graph = traced(program, expected.images)
            bar.advance(1, f"{path.name}: converting")
            _save(graph, program, about, path)
            bar.advance(1, f"{path.name}: checking")
            difference = largest_difference(program, _session(runtime, path, program), expected)
            bar.advance(1)
            about["files"][path.name]["largest_difference_from_pytorch"] = difference
            yield summary_line(path, difference)
    write_json(folder / "model.json", about)


def _save(graph: torch.export.ExportedProgram, program: Program, about: dict[str, Any], path: Path) -> None:
    converted = torch.onnx.export(
        graph,
        input_names=program.inputs,
        output_names=list(program.outputs),
        dynamic_shapes=({0: "batch"}, *(None for _ in program.inputs[1:])),  # one name: the inputs share a batch size
        dynamo=True,
        verbose=False,
        optimize=False,  # its pattern search takes minutes, and the runtime optimizes on its own
    )
    assert converted is not None
    logging.getLogger("onnxscript").setLevel(logging.ERROR)  # it warns about nodes it cannot fold
    optimizer = import_module("onnxscript.optimizer")
    optimizer.fold_constants(converted.model)
    optimizer.remove_unused_nodes(converted.model)
    for node in converted.model.graph:
        node.metadata_props.clear()  # stack traces with paths of this machine
    converted.model.metadata_props["lptpp"] = json.dumps(about, ensure_ascii=False)
    converted.save(path)


def _session(runtime: Any, path: Path, program: Program) -> Runtime:
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(images: Sequence[torch.Tensor]) -> Sequence[np.ndarray]:
        given = dict(zip(program.inputs, images, strict=True))
        return session.run(list(program.outputs), {name: views.numpy() for name, views in given.items()})

    return run
