"""`--to onnx`: ONNX files of the mixture and of each expert, each checked against PyTorch."""

import json
import logging
import time
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
from lptpp.utils.text import listed

log = logging.getLogger("lptpp")


def write_onnx(model: Model, expected: Samples, folder: Path) -> Iterator[str]:
    """Write model.onnx, expert-NAME.onnx and model.json; yield a summary line per file.

    Raises:
        UserError: the extra `onnx` is not installed, or a file does not reproduce PyTorch's predictions.
    """
    _, _, runtime = (extra(name, "onnx", "lptpp export --to onnx") for name in ("onnx", "onnxscript", "onnxruntime"))
    programs = [result_program(model.mixture), *expert_programs(model.mixture)]
    about = description(model, programs, ".onnx")
    log.info("%s", plan(programs))
    with progress_bar("Exporting", 3 * len(programs), unit="steps") as bar:
        began = time.monotonic()
        for place, program in enumerate(programs):
            path = folder / f"{program.name}.onnx"
            left = time_left(programs, place, time.monotonic() - began)
            bar.advance(0, f"{path.name}: tracing{left}")
            graph = traced(program, expected.images)
            bar.advance(1, f"{path.name}: converting{left}")
            _save(graph, program, about, path)
            bar.advance(1, f"{path.name}: checking{left}")
            difference = largest_difference(program, _session(runtime, path, program), expected)
            bar.advance(1)
            about["files"][path.name]["largest_difference_from_pytorch"] = difference
            took, left = time.monotonic() - began, time_left(programs, place + 1, time.monotonic() - began)
            yield f"{summary_line(path, difference)}; {took:.0f} s so far{left}"
    write_json(folder / "model.json", about)


def plan(programs: Sequence[Program]) -> str:
    """Return what is written, and that it takes time."""
    names = listed(f"{program.name}.onnx" for program in programs)
    more = "; the time left is known after the first file" if len(programs) > 1 else ""
    return f"Exporting {names}: the conversion takes minutes on a CPU{more}."


def time_left(programs: Sequence[Program], done: int, seconds: float) -> str:
    """Return about how long the files after the first `done`, which took `seconds`, take: by their experts."""
    experts = [len(program.experts) for program in programs]
    if not 0 < done < len(programs):
        return ""
    return f", about {seconds * sum(experts[done:]) / sum(experts[:done]):.0f} s left"


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
