"""Reading weights from local files and from hubs, with every failure told in a sentence."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lptpp.utils.errors import UserError


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file; `UserError` for another kind of file or a broken one."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"Weights file {path} does not exist: check the path in the expert's backbone settings.")
    if path.suffix != ".safetensors":
        raise UserError(
            f"Weights file {path} is not a .safetensors file: pickled weights are not loaded, convert it first."
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"Weights file {path} cannot be read ({error}): copy or convert it again.") from error


def load_strictly(module: nn.Module, weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Load weights whose names and shapes must all fit; `UserError` names the first that does not."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in sorted(expected.keys() | given.keys()):
        if expected.get(name) != given.get(name):
            wanted, found = expected.get(name, "no such weight"), given.get(name, "none")
            raise UserError(f"{source} does not fit the model: {name} should be {wanted} and is {found}.")
    module.load_state_dict(dict(weights), strict=True)


@contextmanager
def downloading(name: str) -> Iterator[None]:
    """Turn any failure to fetch `name` into a `UserError`, and keep the libraries' own retries quiet."""
    logging.getLogger("lptpp").info("Fetching %s (from the local cache if it is there).", name)
    logging.disable(logging.ERROR)
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{name} could not be fetched ({type(error).__name__}: {reason}): check the network, or give a"
            " local .safetensors file as the backbone's weights."
        ) from error
    finally:
        logging.disable(logging.NOTSET)
