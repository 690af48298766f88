"""Presets: the settings that ship with the package, found by name; and the paths that can stand in their place."""

import os
import re
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lptpp.utils.disk import atomic_write, make_folder
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.paths import KINDS, refuse_no_folder, refuse_other_places

FOLDER = Path(__file__).parent / "presets"
SPACES = "sweeps"  # the subfolder of search spaces
SETTINGS_FILE = "Settings file"  # in messages
OTHERS = {  # how to use files that are no settings, by suffix
    ".csv": "table data.train_list={}",
    ".tsv": "table data.train_list={}",
    ".parquet": "table data.train_list={}",
    ".tar": "webdataset data.root=. data.train_list={}",
}
SETTINGS = "config.yaml"  # of a run folder


def presets() -> dict[str, str]:
    """Return every preset with the first line of its header."""
    return {path.stem: _headline(path) for path in sorted(FOLDER.glob("*.yaml"))}


def spaces() -> dict[str, str]:
    """Return every search space for `lptpp sweep` with the first line of its header."""
    return {path.stem: _headline(path) for path in sorted((FOLDER / SPACES).glob("*.yaml"))}


def settings_file(name: str | Path) -> Path:
    """Return the settings file of this path, or else the preset of this name.

    Raises:
        UserError: there is neither.
    """
    return _found(name, SETTINGS_FILE, FOLDER, presets())


def space_file(name: str | Path) -> Path:
    """Return the search space of this path, or else the one of this name that ships with the package.

    Raises:
        UserError: there is neither.
    """
    return _found(name, "Search space", FOLDER / SPACES, spaces())


def parent_file(child: Path, name: str) -> Path:
    """Return the file that the line `extends: NAME` of a settings file means: one next to it, otherwise a preset."""
    neighbor, preset = child.parent / name, _preset(name, FOLDER)
    return preset if preset.is_file() and not neighbor.is_file() else settings_file(neighbor)


def is_run(path: str | Path) -> bool:
    """Return whether a path is a run folder."""
    return Path(path, SETTINGS).is_file() or any(Path(path, "checkpoint").glob("step-*"))


def is_image_folder(name: str | Path) -> bool:
    """Return whether an argument is a folder of images: a folder that is no run, and not the bare name of a preset."""
    bare = not any(separator in str(name) for separator in ("/", os.sep))
    return Path(name).is_dir() and not is_run(name) and not (bare and str(name) in presets())


def settings_of_images(folder: str | Path) -> DictConfig:
    """Return what a folder of images adds to the preset `folder`."""
    name = Path(folder).resolve().name
    added: dict[str, Any] = {"run": str(Path("runs", name)), "data": {"root": str(folder)}}
    return OmegaConf.create(added)


def preset_header(name: str) -> str:
    """Return the header of a preset, and below it those of the presets that it extends.

    Raises:
        UserError: there is no such preset.
    """
    path = _shipped(name)
    content: Any = OmegaConf.load(path)
    parent = content.get("extends")
    text = "\n".join(line[2:] for line in header(path))
    return text if parent is None else f"{text}\n\nExtends {Path(parent).stem}:\n\n{preset_header(parent)}"


def header(path: Path) -> list[str]:
    """Return the comment lines that a settings file starts with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(takewhile(lambda line: line.startswith("#"), lines))


def write_copy(name: str, output: Path) -> None:
    """Write a commented copy of a preset for the user to edit, with the settings that it inherits as comments.

    Raises:
        UserError: there is no such preset, or `output` exists.
    """
    source = _shipped(name)
    if output.suffix not in (".yaml", ".yml"):
        raise UserError(f"{output}: expected the name of a .yaml file.")
    if output.exists():
        raise UserError(f"{output} exists: choose another name, or remove it.")
    text = source.read_text(encoding="utf-8")
    text = re.sub(rf"\b(lptpp (?:data|fit)) {source.stem}\b", rf"\1 {output}", text)
    text = re.sub(r"^run: .*$", f"run: {Path('runs', output.stem)}", text, flags=re.MULTILINE)
    make_folder(output.parent)
    with atomic_write(output) as file:
        file.write(text + _inherited(source))


def _inherited(source: Path) -> str:
    """Return the settings of all files that a preset extends, as comments."""
    content: Any = OmegaConf.load(source)
    parent = content.get("extends")
    if parent is None:
        return ""
    path = parent_file(source, parent)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(("#", "run:"))]
    commented = "".join(f"# {line}\n" for line in lines if not line.startswith("extends:"))
    return f"\n# Inherited from the preset {path.stem}; to change a value, set it above.\n{commented}{_inherited(path)}"


def _found(name: str | Path, kind: str, folder: Path, known: dict[str, str]) -> Path:
    refuse_other_places(name)
    if Path(name).is_file():
        _refuse_other_file(Path(name), kind)
        return Path(name)
    if (preset := _preset(name, folder)).is_file():
        return preset
    if kind == SETTINGS_FILE and str(name).endswith("/"):
        refuse_no_folder(str(name), key="")
    if kind == SETTINGS_FILE and not Path(name).suffix:
        _refuse_folder(Path(name), known)
    near, given = did_you_mean(Path(name).stem, known), f"{kind} {name} does not exist and is not a preset"
    if kind == SETTINGS_FILE and not Path(name).suffix:
        given = f"{name} is neither a folder of images, nor a preset, nor a settings file"
    raise UserError(f"{given}: {near} `lptpp presets` lists all.")


def _refuse_other_file(path: Path, kind: str) -> None:
    """Raise `UserError` for a file whose suffix is not that of a settings file."""
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml", ""):
        return
    found = f"{path} is {KINDS.get(suffix, 'a file of another kind')}"
    if kind != SETTINGS_FILE:
        raise UserError(f"{found}, expected a .yaml file.")
    advice = f"; to train on it: lptpp fit {OTHERS[suffix].format(path)}" if suffix in OTHERS else "."
    raise UserError(f"{found}, expected a folder of images, a preset, or a settings file (.yaml){advice}")


def _refuse_folder(path: Path, known: dict[str, str]) -> None:
    """Raise `UserError` for a path that resembles a folder next to it more than it resembles a preset."""
    folders = [one.name for one in path.parent.glob("*") if one.is_dir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name.lower(), [one.lower() for one in folders], n=1)
    if near and not get_close_matches(path.name, known, n=1):
        (name, *_) = (one for one in folders if one.lower() == near[0])
        raise UserError(f"There is no folder {path}: did you mean {path.parent / name}?")


def _shipped(name: str) -> Path:
    """Return the file of a preset or of a search space; raises `UserError` if there is none."""
    path = _preset(name, FOLDER)
    if not path.is_file():
        raise UserError(f"There is no preset {name}: {did_you_mean(name, presets())}")
    return path


def _preset(name: str | Path, folder: Path) -> Path:
    return folder / f"{str(name).removesuffix('.yaml')}.yaml"


def _headline(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
