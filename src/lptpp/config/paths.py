"""Checks of the paths that settings name, before anything slow is imported."""

from pathlib import Path

from lptpp.config.choices import LOCAL_SOURCES
from lptpp.config.schema import DataSettings
from lptpp.utils.paths import matching_files, refuse_no_file, refuse_no_folder, resolve_path

LISTS = ("train_list", "validation_list", "test_list")
PURPOSES = {"list": "an image list, one `path label` per line", "inat2018": "an iNaturalist 2018 list (JSON)"}
TABLES = ("csv", "parquet")


def check_data_paths(data: DataSettings) -> None:
    """Raise `UserError` if the folder of the images, a list, a table or the file of class names does not exist."""
    root = Path(data.root or ".").expanduser()
    if data.source in LOCAL_SOURCES and data.root is not None:
        refuse_no_folder(data.root)
    if data.class_names is not None:
        refuse_no_file(resolve_path(data.class_names, root), "the class names")
    for name in (getattr(data, key) for key in LISTS):
        if name is not None and data.source in TABLES:
            matching_files(name, root)
        elif name is not None and data.source in PURPOSES:
            refuse_no_file(resolve_path(name, root), PURPOSES[data.source])
