"""Names in a sentence."""

from collections.abc import Iterable


def listed(names: Iterable[object], most: int = 8, between: str = ", ") -> str:
    """Return the first `most` names, and how many more there are."""
    told = [str(name) for name in names]
    more = f" and {len(told) - most:,} more" if len(told) > most else ""
    return between.join(told[:most]) + more
