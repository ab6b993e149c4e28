"""The documentation: it builds as a site, links lead somewhere, and the commands and variables it names are there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipeline.cli import main

ROOT = Path(__file__).resolve().parents[2]
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#([^)\s]+))?\)")
PICTURE = re.compile(r'(?:src|srcset)="(?!https?://)([^"]+)"')
COMMAND = re.compile(r"^(?:\$ )?(pipeline [a-z].*?)(?:\s+[|>&#].*)?$", re.MULTILINE)
SHELL = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\b(?:PIPELINE|SALESFORCE|FLOWER)_[A-Z_]+[A-Z]\b")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=\"(?:https?:)?//[^\"]+", re.IGNORECASE)


def texts() -> dict[str, str]:
    paths = [*(ROOT / name for name in AT_THE_ROOT), *(ROOT / "docs").glob("*.md")]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site of a copy, as `make docs` does, and return its folder."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert built.returncode == 0, re.sub(r"\x1b\[[\d;]*m", "", built.stdout + built.stderr)
    return folder / "site"


def test_every_page_is_built(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {"index", "quick-start", "mapping"} <= pages
    assert pages <= {path.stem for path in site.glob("*.html")}


def test_the_navigation_names_pages_that_exist_and_every_page_can_be_reached() -> None:
    configured = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = {
        page for section in configured["nav"] for pages in section.values() for one in pages for page in one.values()
    }
    pages = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    assert named <= set(pages)  # a strict build does not mind one that is missing
    linked = {target for text in pages.values() for target, _ in LINK.findall(text)}
    assert set(pages) <= named | linked


def test_no_page_fetches_anything_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert FETCHED.findall(page.read_text(encoding="utf-8")) == [], page.name


@pytest.mark.parametrize("name", AT_THE_ROOT)
def test_the_files_at_the_root_link_to_what_is_there(name: str, site: Path) -> None:
    text = CODE.sub("", (ROOT / name).read_text(encoding="utf-8"))
    for target, anchor in LINK.findall(text):
        assert (ROOT / target).exists(), target
        if anchor and target.startswith("docs/"):
            page = (site / Path(target).relative_to("docs")).with_suffix(".html")
            assert f'id="{anchor}"' in page.read_text(encoding="utf-8"), f"{target}#{anchor}"
    for target in PICTURE.findall(text):
        assert (ROOT / target).exists(), target


def test_every_command_in_a_shell_block_exists_with_its_options() -> None:
    seen = set()
    for name, text in texts().items():
        for command in [line for block in SHELL.findall(text) for line in COMMAND.findall(block)]:
            # `--help` after the options: click checks what stands before it, and then runs nothing.
            asked = CliRunner().invoke(main, [*shlex.split(command)[1:], "--help"])
            assert asked.exit_code == 0, f"{name}: {command}\n{asked.output}"
            seen.add(shlex.split(command)[1])
    assert {"up", "send", "worker", "check"} <= seen


def test_every_variable_that_is_named_is_read() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").rglob("*.py"))
    for name, text in texts().items():
        # What is said of other programs' variables has a test of its own (tests/hostile).
        ours = re.sub(r"### Variables of other programs\n.*?\n\n(?=## )", "", text, flags=re.DOTALL)
        assert {variable for variable in VARIABLE.findall(ours) if variable not in code} == set(), name
