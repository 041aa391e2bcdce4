"""The READMEs: the file map is complete, the commands exist, and both languages say the same."""

import re
from pathlib import Path

import pytest

from tidegate.cli import verbs
from tidegate.cli.app import run

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.zh-CN.md")
SUFFIXES = (".py", ".h", ".cpp")
DOCS = tuple(sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[str]:
    """What stands between fences."""
    return re.findall(r"```\w*\n(.*?)```", text(name), flags=re.DOTALL)


def mapped(name: str) -> set[str]:
    """The modules and the kernel's sources in the file map, from the root."""
    words = [line.split()[0] for block in blocks(name) for line in block.splitlines() if line.strip()]
    files = {word for word in words if word.endswith(SUFFIXES)}
    return {word if word.startswith(("benchmarks/", "native/")) else f"src/tidegate/{word}" for word in files}


@pytest.mark.parametrize("name", READMES)
def test_every_module_has_its_line(name: str) -> None:
    paths = [path for folder in ("src", "benchmarks", "native") for path in (ROOT / folder).rglob("*")]
    modules = {path.relative_to(ROOT).as_posix() for path in paths if path.name.endswith(SUFFIXES)}
    named = {path for path in modules if not path.endswith("/__init__.py")} | {"src/tidegate/__init__.py"}
    assert mapped(name) == named


@pytest.mark.parametrize("name", READMES)
def test_the_two_commands_come_first(name: str) -> None:
    assert [line.split("#")[0].strip() for line in blocks(name)[0].splitlines()] == ["make demo", "make test"]


def test_both_have_the_same_code() -> None:
    def code(name: str) -> list[str]:
        lines = [line for block in blocks(name) for line in block.splitlines()]
        return [
            line.split("#")[0].strip() for line in lines if re.match(r"(tidegate|pip|make|import|model|forecast|scores|tg)\b(?!\.py)", line)
        ]

    assert code("README.md") == code("README.zh-CN.md")
    assert len(code("README.md")) > 10


def links(name: str) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)#]+)\)", text(name))


@pytest.mark.parametrize("name", [*READMES, *DOCS])
def test_links_lead_somewhere(name: str) -> None:
    assert all(((ROOT / name).parent / link).is_file() for link in links(name))


def test_both_link_every_page() -> None:
    assert set(DOCS) <= set(links("README.md"))
    assert set(DOCS) <= set(links("README.zh-CN.md"))


class Stop(Exception):
    """The command line was understood."""


def test_every_command_line_is_one_that_the_program_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*values: object) -> int:
        raise Stop

    for verb in ("check", "train_forecast", "train_classify", "train_transcribe", "evaluate", "predict", "tune_forecast", "demo"):
        monkeypatch.setattr(verbs, verb, stop)
    code = "\n".join(block for name in ("README.md", *DOCS) for block in blocks(name))
    lines = [line.split("#")[0].split() for line in code.splitlines() if line.startswith("tidegate ")]
    assert len(lines) == 27
    for words in lines:
        with pytest.raises(Stop):
            run(words[1:])
