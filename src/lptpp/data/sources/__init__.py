"""Data sets by name. A new source is a function with plain arguments, and a row in `SOURCES`."""

import inspect
from collections.abc import Callable
from typing import Any

from lptpp.data.dataset import Collection
from lptpp.data.long_tail import draw_long_tail
from lptpp.data.sources import cifar, emoji, folder, huggingface, inat, lists, table, webdataset
from lptpp.data.split import draw_part
from lptpp.utils.errors import UserError, did_you_mean

SOURCES: dict[str, Callable[..., Collection]] = {
    "emoji": emoji.emoji,
    "folder": folder.folder,
    "list": lists.image_list,
    "csv": table.table,
    "parquet": table.table,
    "huggingface": huggingface.huggingface,
    "webdataset": webdataset.webdataset,
    "inat2018": inat.inat2018,
    "cifar10_lt": cifar.cifar10_lt,
    "cifar100_lt": cifar.cifar100_lt,
}
MEANINGS = {
    "root": "the folder that holds the images, or for huggingface a saved data set or a name at the hub",
    "train_list": "what lists the training images: lines of `path label`, a table, or tar shards",
    "test": "the share of every class that becomes the test part, such as 0.2",
    "split_seed": "the seed of the parts drawn, a whole number",
    "profile": "exponential or step",
    "memory_gb": "how much memory pictures may take, in gigabytes",
}


def load_collection(source: str, validation: float, **arguments: Any) -> Collection:
    """Return the data set of a source; `arguments` are those of all sources, each takes what it knows.

    With a `factor`, the training part is drawn down to a long tail, unless the source takes `factor` itself. A source
    without a validation part then gets one: the share `validation` of every class of its training part, drawn by
    `split_seed`, never a class's last image.

    Raises:
        UserError: an unknown source, an argument that the source needs is None, or what the source raises.
    """
    if source not in SOURCES:
        raise UserError(f"Unknown data.source {source!r}: {did_you_mean(source, SOURCES)}")
    known = _known(source, arguments)
    collection = SOURCES[source](**known)
    if arguments.get("factor") is not None and "factor" not in known:
        collection = draw_long_tail(collection, arguments["factor"], arguments["profile"], arguments["split_seed"])
    if collection.validation is not None or not validation:
        return collection
    return draw_part(collection, "validation", validation, arguments["split_seed"])


def _known(source: str, arguments: dict[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(SOURCES[source]).parameters
    chosen = {name: arguments.get(name) for name in parameters}
    for name, value in chosen.items():
        if value is None and parameters[name].annotation in (str, int, float):
            raise UserError(f"data.{name} is needed by data.source={source}: {MEANINGS[name]}.")
    return chosen
