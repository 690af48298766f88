"""Gigabytes, the unit of every memory setting and message: 1 GB = 2^30 bytes."""

from lptpp.utils.processes import local_count

GB = 2**30


def gb_to_bytes(gigabytes: float) -> int:
    """Return a number of gigabytes in bytes, rounded down."""
    return int(gigabytes * GB)


def cache_bytes(gigabytes: float) -> int:
    """Return the bytes that this process may cache: the processes of a run on this machine share `gigabytes`."""
    return gb_to_bytes(gigabytes) // local_count()


def bytes_to_gb(size: int) -> float:
    """Return a number of bytes in gigabytes."""
    return size / GB
