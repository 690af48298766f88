"""Data sources by name. A new source is a function with plain arguments and a row in `SOURCES`."""

import inspect
from collections.abc import Callable
from typing import Any

from lptpp.config.choices import LOCAL_SOURCES, SOURCE_NAMES, SOURCE_SETTINGS
from lptpp.data.dataset import ImageDataset
from lptpp.data.long_tail import draw_long_tail
from lptpp.data.sources import cifar, emoji, folder, huggingface, image_list, inat2018, table, webdataset
from lptpp.data.sources.class_names import names_file, read_mapping, rename
from lptpp.data.spelling import refuse_two_spellings
from lptpp.data.split import draw_split
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.paths import refuse_no_folder

SOURCES: dict[str, Callable[..., ImageDataset]] = {
    "emoji": emoji.emoji,
    "folder": folder.folder,
    "list": image_list.image_list,
    "csv": table.table,
    "parquet": table.table,
    "huggingface": huggingface.huggingface,
    "webdataset": webdataset.webdataset,
    "inat2018": inat2018.inat2018,
    "cifar10_lt": cifar.cifar10_lt,
    "cifar100_lt": cifar.cifar100_lt,
}
MEANINGS = {
    "root": "the image folder, or for huggingface a saved data set or a name on the Hub",
    "train_list": "the training images (a text file of lines `path label`, a table, or tar shards)",
    "test": "the share of every class drawn for the test split, such as 0.2",
    "split_seed": "the seed of the drawn splits, an integer",
    "profile": "exponential or step",
    "memory_gb": "the memory limit for images, in gigabytes",
}


def register_source(name: str) -> Callable[[Callable[..., ImageDataset]], Callable[..., ImageDataset]]:
    """Return a decorator that adds a source: a function whose arguments are settings of `data`."""

    def register(source: Callable[..., ImageDataset]) -> Callable[..., ImageDataset]:
        SOURCES[name] = source
        SOURCE_NAMES.append(name)
        SOURCE_SETTINGS[name] = set(inspect.signature(source).parameters)
        return source

    return register


def read_source(source: str, validation: float, **arguments: Any) -> ImageDataset:
    """Return the data set of a source; `arguments` are those of all sources, each takes those it knows.

    The file `class_names` renames the classes of every source. With a `factor`, the training split is subsampled to a
    long tail, unless the source takes `factor` itself. If the source has no validation split, the share `validation` of
    every class is then drawn from the training split.

    Raises:
        UserError: the source is unknown, an argument that it needs is None, `root` is no folder, two classes are one
            class in two spellings, or the source raises it.
    """
    if source not in SOURCES:
        raise UserError(f"Unknown data.source {source!r}: {did_you_mean(source, SOURCES)}")
    known = _arguments_of(source, arguments)
    if source in LOCAL_SOURCES and known.get("root") is not None:
        refuse_no_folder(known["root"])
    dataset = _named(source, known, arguments)
    refuse_two_spellings(dataset)
    if arguments.get("factor") is not None and "factor" not in known:
        dataset = draw_long_tail(dataset, arguments["factor"], arguments["profile"], arguments["split_seed"])
    if dataset.validation is not None or not validation:
        return dataset
    return draw_split(dataset, "validation", validation, arguments["split_seed"])


def _named(source: str, known: dict[str, Any], arguments: dict[str, Any]) -> ImageDataset:
    """Return the data set with the names of the file `class_names`: renamed unless the source reads the file."""
    file = names_file(arguments.get("class_names"), arguments.get("root"))
    mapping = None if file is None else read_mapping(file)
    if file is None or ("class_names" in known and mapping is None):
        return SOURCES[source](**known)
    dataset = SOURCES[source](**known | ({"class_names": None} if "class_names" in known else {}))
    return rename(dataset, file, mapping)


def _default(parameter: inspect.Parameter) -> Any:
    return None if parameter.default is inspect.Parameter.empty else parameter.default


def _arguments_of(source: str, arguments: dict[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(SOURCES[source]).parameters
    known = {name: arguments.get(name, _default(one)) for name, one in parameters.items()}
    for name, value in known.items():
        if value is None and parameters[name].annotation in (str, int, float):
            raise UserError(f"data.source={source} requires data.{name}: {MEANINGS[name]}.")
    return known
