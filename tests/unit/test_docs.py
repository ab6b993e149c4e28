"""The documentation as a site: it builds, no link in it leads nowhere, and no reader's browser is sent to another host."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#([^)\s]+))?\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=\"(?:https?:)?//[^\"]+", re.IGNORECASE)


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
