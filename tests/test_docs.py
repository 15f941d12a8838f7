"""The pages say what is so: links lead somewhere, commands exist, generated pages are fresh."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from tools import dialects_page, tables_page
from v6share.jobs.cli import app
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.schemas.aggregates import IP_CLASSES

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        ROOT / "bench/README.md",
    ],
    key=lambda page: page.relative_to(ROOT).as_posix(),
)
# The page of commands shows their usage, not calls.
WRITTEN = [page for page in PAGES if page.name != "cli.md"]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub names them."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def calls(page: Path, program: str) -> Iterator[tuple[str, list[str]]]:
    """The lines of a page's shell blocks that call a program, and the words behind its name."""
    for block in re.findall(r"^```sh\n(.*?)^```$", text_of(page), flags=re.M | re.S):
        for line in block.splitlines():
            if line.startswith(f"{program} "):
                yield line, shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(page))):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        where = (page.parent / path).resolve() if path else page
        assert where.exists(), f"{name_of(page)}: {target}: there is no {where}"
        assert not anchor or anchor in anchors(where), f"{name_of(page)}: {target}: no such heading"


def test_every_page_is_reached_from_the_readme() -> None:
    linked, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        linked.add(page)
        targets = re.findall(r"\]\(([^)\s#]+\.md)", without_code(text_of(page)))
        found = {(page.parent / t).resolve() for t in targets if "://" not in t}
        waiting += found - linked
    assert set(PAGES) <= linked


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_shell_blocks_call_commands_and_options_that_exist(page: Path) -> None:
    group = typer.main.get_command(app)
    for line, said in calls(page, "v6share"):
        words = said[2:] if said[0] == "-C" else said
        words = words[1:] if words[0] == "-q" else words
        command = group
        for word in words:
            if word.startswith("-") or not hasattr(command, "commands"):
                break
            assert word in command.commands, f"{name_of(page)}: {line}"
            command = command.commands[word]
        known = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            option = word.partition("=")[0]
            assert not word.startswith("-") or option in known | {"--help"}, (
                f"{name_of(page)}: {line}: {option} is no option"
            )


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_shell_blocks_make_targets_that_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.M))
    variables = set(re.findall(r"^([A-Z]+) *[?:]?=", makefile, flags=re.M))
    for line, words in calls(page, "make"):
        for word in words:
            known = word.partition("=")[0] in variables if "=" in word else word in targets
            assert known, f"{name_of(page)}: {line}: {word} is neither target nor variable"


def test_ci_runs_commands_of_the_readme_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    found_itself = lines.index('cd "$(dirname "$0")/.."') + 1
    shown = {shlex.join(["make", *words]) for _, words in calls(ROOT / "README.md", "make")}
    assert "make test" in lines[found_itself:]
    assert set(lines[found_itself:]) <= shown


def test_each_promise_names_tests_that_there_are() -> None:
    section = text_of(ROOT / "docs" / "reliability.md").partition("## Promises")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    for row in rows[1:]:
        named = re.findall(r"`(tests/[^`:]+)::(\w+)`", row)
        assert named, f"no test: {row}"
        for file, name in named:
            assert f"\ndef {name}(" in text_of(ROOT / file), f"{file} has no {name}"


def test_the_page_of_tables_is_what_the_code_says() -> None:
    assert text_of(ROOT / "docs" / "tables.md") == tables_page.tables_page(), (
        "docs/tables.md is stale: python -m tools.tables_page > docs/tables.md"
    )


def test_the_page_of_dialects_is_what_the_code_says() -> None:
    assert text_of(ROOT / "docs" / "dialects.md") == dialects_page.dialects_page(), (
        "docs/dialects.md is stale: python -m tools.dialects_page > docs/dialects.md"
    )


def test_the_readme_says_of_every_exit_code_what_the_page_of_commands_says() -> None:
    section = text_of(ROOT / "README.md").partition("## For schedulers")[2].partition("\n## ")[0]
    unlinked = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", section)
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", unlinked, flags=re.M)
    assert rows == [(str(code.value), code.meaning) for code in ExitCode]


@pytest.mark.parametrize("ip_class", IP_CLASSES)
def test_every_class_is_explained(ip_class: str) -> None:
    section = text_of(ROOT / "docs" / "concepts.md").partition("## 4. Class")[2]
    assert f"`{ip_class}`" in section.partition("\n## ")[0]
