"""Names in a sentence."""

from collections.abc import Iterable


def listed(names: Iterable[object], most: int = 8, between: str = ", ") -> str:
    """Return the first `most` names, and how many more there are."""
    message = [str(name) for name in names]
    more = f" and {len(message) - most:,} more" if len(message) > most else ""
    return between.join(message[:most]) + more
