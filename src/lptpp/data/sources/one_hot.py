"""Labels as one column of 0 and 1 per class, such as the ground truth of ISIC."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from lptpp.data.sources.table_reader import TableFile
from lptpp.utils.errors import UserError

CHECKED = 200  # rows that decide whether columns are one-hot


def class_of(values: Sequence[Any], names: Sequence[str], place: str) -> str:
    """Return the name of the column with 1, given the values of a row.

    Raises:
        UserError: not exactly one value is 1 and all others are 0.
    """
    numbers = [_number(value) for value in values]
    if sorted(numbers) != [0] * (len(names) - 1) + [1]:
        found = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True) if _number(value) != 0)
        raise UserError(
            f"{place} has {found or 'only 0'} in data.label_columns: expected 1 in exactly one column and 0 in the"
            " others; add the missing columns or remove the row."
        )
    return names[numbers.index(1)]


def one_hot_columns(file: TableFile, columns: Sequence[str]) -> list[str]:
    """Return which of the columns look like one column of 0 and 1 per class; empty if they do not."""
    rows = [values for _, values in islice(file.rows(columns), CHECKED)]
    numbers = [[_number(value) for value in column] for column in zip(*rows, strict=True)]
    binary = [i for i, column in enumerate(numbers) if all(value in (0, 1) for value in column)]
    exclusive = all(sum(numbers[i][row] for i in binary) == 1 for row in range(len(rows)))
    return [columns[i] for i in binary] if len(binary) > 1 and exclusive else []


def _number(value: Any) -> float:
    """Return a cell as a number, -1 if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return -1
