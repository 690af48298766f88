"""Loading weights from local files and from hubs, with a `UserError` for every failure."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lptpp.utils.disk import CannotWrite, writing
from lptpp.utils.errors import UserError


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        UserError: the file does not exist, has another suffix, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"The weights file {path} does not exist: check backbone.weights.")
    if path.suffix != ".safetensors":
        raise UserError(
            f"The weights file {path} is not a .safetensors file: pickled weights are not loaded; convert it first."
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"The weights file {path} cannot be read ({error}): copy or convert it again.") from error


def check_weights(
    weights: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], source: str, target: str = "model"
) -> None:
    """Check that weights have exactly the expected names and shapes.

    Raises:
        UserError: they differ; the message has the first such name, `source` and `target`.
    """
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            shapes = f"expected {wanted.get(name, 'no such weight')}, found {found.get(name, 'none')}"
            raise UserError(f"{source} does not match the {target}: {name}: {shapes}.")


def check_finite(weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Raise `UserError` for the first weight that is infinite or not a number."""
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise UserError(f"{source}: {name} has values that are not finite: restore it from a copy, or train again.")


def load_strictly(module: nn.Module, weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Load weights into a module after `check_weights`."""
    check_weights(weights, module.state_dict(), source)
    module.load_state_dict(dict(weights), strict=True)


@contextmanager
def downloading(name: str) -> Iterator[None]:
    """Turn any failure to download `name` into a `UserError` or `CannotWrite`, and silence retries of the libraries."""
    logging.getLogger("lptpp").info("Loading %s (from the local cache or the network).", name)
    logging.disable(logging.ERROR)
    try:
        with writing(f"The cache of {name}"):
            yield
    except CannotWrite:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"Could not download {name} ({type(error).__name__}: {reason}): check the network, or set backbone.weights"
            " to a local .safetensors file."
        ) from error
    finally:
        logging.disable(logging.NOTSET)
