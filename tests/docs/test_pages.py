"""What README and docs say exists: links, settings files, settings, and commands with their options."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from omegaconf import OmegaConf

from lptpp.cli import app
from lptpp.config import Settings
from lptpp.config.resolve import presets
from lptpp.config.validate import check_keys
from lptpp.utils.errors import UserError
from tests.docs.pages import PAGES, ROOT, anchors, commands, prose

SETTING = re.compile(r"(?:data|augmentation|experts|phase[123]|evaluation)(?:\.\w+)+|(?<=^)(?:run|method|seed)(?==)")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def missing(page: Path, text: str) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    wrong = []
    for target in re.findall(r"\]\((?!\w+:)([^)]+)\)", prose(text)):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        known = anchors(file.read_text(encoding="utf-8")) if file.suffix == ".md" and file.is_file() else set()
        if not file.exists() or (anchor and anchor not in known):
            wrong.append(target)
    return wrong


def named_settings(text: str) -> list[str]:
    """Return the keys in a page's code spans that are settings: `phase1.epochs=1`, `data.root`."""
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(text))
    words = [word for span in spans for word in re.split(r"[\s']+", span)]
    return [found[0] for word in words if (found := SETTING.match(word))]


def check_key(key: str) -> None:
    try:
        check_keys(OmegaConf.from_dotlist([f"{key}={{}}"]), Settings, key)  # a section, a number, a text
    except UserError:
        check_keys(OmegaConf.from_dotlist([f"{key}=[]"]), Settings, key)  # a list, if the key exists


def check_command(line: str) -> None:
    """Parse a command of lptpp as the command line does, and the names of its settings; nothing runs."""
    verb, *given = shlex.split(line.split("|")[-1])[1:]
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    try:
        parsed = command.make_context(verb, given)
    except typer.Exit:  # it asks for help
        return
    for setting in parsed.params.get("overrides") or []:
        key, equals, _ = setting.partition("=")
        assert equals, setting
        check_keys(OmegaConf.from_dotlist([setting]), Settings, key)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert missing(page, page.read_text(encoding="utf-8")) == []


@each_page
def test_presets_are_there(page: Path) -> None:
    for name in re.findall(r"\blptpp (?:fit|data|sweep|init) ([a-z]\w*)(?=[ `\n])", page.read_text(encoding="utf-8")):
        assert name in presets(), name


@each_page
def test_settings_in_the_text_exist(page: Path) -> None:
    for key in named_settings(page.read_text(encoding="utf-8")):
        check_key(key)


@each_page
def test_commands_are_ones_that_lptpp_takes(page: Path) -> None:
    for line in commands(page.read_text(encoding="utf-8")):
        if re.match(r"(.*\| )?lptpp ", line):
            check_command(line)
        elif line.startswith("python mine.py "):
            check_command(line.removeprefix("python "))


@each_page
def test_commands_in_the_text_have_verbs_that_exist(page: Path) -> None:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for verb in re.findall(r"`lptpp (\w+)", prose(page.read_text(encoding="utf-8"))):
        assert verb in verbs


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A b\n\n[here](#a-b) [gone](gone.md) [no such heading](page.md#c) [web](https://x.y)")
    assert missing(page, page.read_text()) == ["gone.md", "page.md#c"]
    assert named_settings("`phase1.epoch=3`, `a.b`, `'data.rot=x'`") == ["phase1.epoch", "data.rot"]
    for key in ("phase1.epoch", "experts.visual.pol", "data.rot"):
        with pytest.raises(UserError, match="there is no setting"):
            check_key(key)
    with pytest.raises(UserError, match="there is no setting"):
        check_command("lptpp fit emoji phase1.epoch=3")
    with pytest.raises(Exception, match="No such option: --top"):
        check_command("find . | lptpp predict runs/mine - --top 3")
