"""Digests of files and of JSON content, which show whether either changed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DIGEST = "digest"  # key of a JSON file for the digest of all its other keys


def file_digest(path: Path) -> str:
    """Return the sha256 of a regular file.

    Raises:
        OSError: it cannot be read, or it is a device, a pipe or a folder, which would be endless or block.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing or not a regular file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON content with its digest."""
    plain = json.loads(json.dumps(content))  # as a reader will find it
    return {**plain, DIGEST: content_digest(plain)}


def is_sealed(content: Mapping[str, Any]) -> bool:
    """Return whether JSON content, as read, has its digest."""
    return content.get(DIGEST) == content_digest(content)


def content_digest(content: Mapping[str, Any]) -> str:
    """Return the sha256 of JSON content without its digest; the order of keys counts, spaces and line breaks do not."""
    text = json.dumps({key: value for key, value in content.items() if key != DIGEST}, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
