"""Gigabytes, the unit of every memory setting and message: 1 GB = 2^30 bytes."""

GB = 2**30


def gb_to_bytes(gigabytes: float) -> int:
    """Return a number of gigabytes in bytes, rounded down."""
    return int(gigabytes * GB)


def bytes_to_gb(size: int) -> float:
    """Return a number of bytes in gigabytes."""
    return size / GB
