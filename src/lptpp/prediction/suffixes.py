"""The kinds of files that a prediction can be written to; checked before the model is loaded."""

from collections.abc import Sequence
from pathlib import Path

from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra
from lptpp.utils.paths import SPREADSHEETS

TABLES = (".csv", ".jsonl", ".parquet")
FEATURES = (".npy", ".parquet")


def check_suffix(path: Path, known: Sequence[str]) -> None:
    """Raise `UserError` for an unknown suffix, or if the library that writes the file is not installed."""
    if path.suffix not in known:
        hint = " Use .csv, which spreadsheets open." if path.suffix.lower() in SPREADSHEETS and ".csv" in known else ""
        raise UserError(f"{path} must end in {', '.join(known[:-1])} or {known[-1]}.{hint}")
    if path.suffix == ".parquet":
        extra("pyarrow", "parquet", f"{path}: parquet")
