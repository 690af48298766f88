"""Reads chosen columns of a table file, CSV or parquet, row by row."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from lptpp.data.sources.files import read_text
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra
from lptpp.utils.paths import refuse_special

SEPARATOR = re.compile(r'"?sep=([,;\t|])"?', re.IGNORECASE)  # first line of some CSV files from Excel
DELIMITERS = (",", ";", "\t", "|")
TableRow = tuple[str, tuple[Any, ...]]  # place in messages, values of the columns


class TableFile(Protocol):
    """A table in a file."""

    path: Path
    header: list[str]  # column names

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        """Yield every row; raises UserError for an invalid one."""
        ...

    def class_names(self, column: str) -> list[str] | None:
        """Return the class names of an integer column if the file has them."""
        ...

    def size(self, column: str) -> int:
        """Return the number of bytes of the images in a column; 0 for a column of paths."""
        ...


def delimiter_of(line: str) -> str:
    """Return the delimiter that divides a line most."""
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))


def open_table(path: Path) -> TableFile:
    """Return the table in a file: parquet if the suffix is .parquet or .pq, else CSV; raises UserError if invalid."""
    refuse_special(path)
    if path.suffix.lower() in (".json", ".jsonl"):
        raise UserError(
            f"{path} is JSON, and tables are CSV or parquet: convert it, or, if it is the metadata.jsonl of an image"
            f" folder, set data.source=huggingface data.root={path.parent}."
        )
    return ParquetTable(path) if path.suffix.lower() in (".parquet", ".pq") else CsvTable(path)


def _refuse_title(path: Path, header: list[str], below: str) -> None:
    """Raise UserError if the first line is a title: one value above lines of several."""
    filled = [name for name in header if name]
    row = next(csv.reader([below], delimiter=delimiter_of(below)), [])
    if len(filled) == 1 and sum(bool(field.strip()) for field in row) > 1:
        raise UserError(
            f"{path}: the first line is {filled[0]!r}, one value above lines of {len(row)}; it looks like a title:"
            " remove it, so that the first line has the names of the columns."
        )


class CsvTable:
    """A text table; the delimiter (comma, semicolon, tab or bar) is the one that divides the header most.

    Lines without a value, which Excel writes as ";;", are passed over. A first line "sep=;" names the delimiter.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = read_text(path, "a CSV table")
        first, second, third = self._first_lines()
        given = SEPARATOR.fullmatch(first)
        self._skipped = 0 if given is None else 1  # lines above the header
        header, below = (first, second) if given is None else (second, third)
        self._delimiter = given[1] if given else delimiter_of(header)
        self.header = [name.strip() for name in next(islice(self._lines(), self._skipped, None), ("", []))[1]]
        _refuse_title(path, self.header, below)

    def _first_lines(self) -> list[str]:
        """Return the first three lines that are not blank."""
        lines = (line.strip() for line in io.StringIO(self._text) if line.strip())
        return list(islice(chain(lines, ["", "", ""]), 3))

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        """Yield every nonempty line below the header."""
        chosen = [self.header.index(column) for column in columns]
        for place, fields in islice(self._lines(), self._skipped + 1, None):
            if len(fields) != len(self.header):
                raise UserError(
                    f"{place} has {len(fields)} columns, expected {len(self.header)} as in the header: quote values"
                    f" that contain the delimiter {self._delimiter!r}."
                )
            yield place, tuple(fields[i] for i in chosen)

    def class_names(self, column: str) -> None:
        """Return None: a CSV file has no class names."""

    def size(self, column: str) -> int:
        """Return 0: a CSV file has paths."""
        return 0

    def _lines(self) -> Iterator[tuple[str, list[str]]]:
        reader = csv.reader(io.StringIO(self._text), delimiter=self._delimiter, strict=True)
        try:
            for fields in reader:
                if any(field.strip() for field in fields):
                    yield f"{self.path} line {reader.line_num}", fields
        except csv.Error as error:
            raise UserError(
                f"{self.path} line {reader.line_num} is not valid CSV ({error}): check its quotes."
            ) from None


class ParquetTable:
    """A parquet file, read batch by batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        parquet = extra("pyarrow.parquet", "parquet", f"{path}: reading parquet")
        try:
            self._file = parquet.ParquetFile(path)
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            raise UserError(f"{path} is not a parquet file ({error}): write it again or use CSV.") from error
        self.header = list(self._file.schema_arrow.names)

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        """Yield every row."""
        number = 0
        for batch in self._file.iter_batches(batch_size=1024, columns=list(columns)):
            for values in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
                yield f"{self.path} row {number}", values
                number += 1

    def class_names(self, column: str) -> list[str] | None:
        """Return the names that Hugging Face datasets stores in the file's metadata for a ClassLabel."""
        metadata = (self._file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(metadata).get("info", {}).get("features", {})
        return features.get(column, {}).get("names")

    def size(self, column: str) -> int:
        """Return the uncompressed size of a column of bytes, from the file's metadata."""
        if "binary" not in str(self._file.schema_arrow.field(column).type):
            return 0
        metadata = self._file.metadata
        chunks = [
            metadata.row_group(group).column(i)
            for group in range(metadata.num_row_groups)
            for i in range(metadata.num_columns)
        ]
        return sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.split(".")[0] == column)
