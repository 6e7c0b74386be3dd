"""The code on the pages runs as it stands there, and links lead somewhere.

A block of Python without a title is a program: it runs alone, in a new process. A block with a title says in it what it
needs, and another test runs it with that.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import process_environment
from tests.support.pages import PAGES, ROOT, blocks

pytestmark = pytest.mark.unmeasured

RUN_ELSEWHERE = {
    "apikeys": "tests/apikeys/test_docs.py",
    "gateway": "tests/gateway/test_docs.py",
    "history": "tests/test_docs.py",
    "licensing": "tests/licensing/test_docs.py",
    "market-data": "tests/market_data/test_docs.py",
    "recording": "tests/recording/test_docs.py",
    "tutorial": "tests/test_tutorial.py",
}
"""The tests that run the blocks with a title, by page."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/")


def run(code: str, folder: Path) -> str:
    """Run a program in a new process, with warnings as errors; what it prints."""
    script = folder / "snippet.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", script],
        cwd=folder,
        env=process_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


PROGRAMS = [
    pytest.param(block.code, id=f"{name_of(page)}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page), 1)
    if block.language == "python" and block.title is None
]


@pytest.mark.parametrize("code", PROGRAMS)
def test_a_program_runs_as_it_is_pasted(code: str, tmp_path: Path) -> None:
    assert ("print(" in code) == bool(run(code, tmp_path).strip())


def test_what_follows_a_program_runs_after_it(tmp_path: Path) -> None:
    """The page about the history reads the file that its program has written."""
    page = ROOT / "docs/history.md"
    assert [run(block.code, tmp_path) for block in blocks(page) if block.language == "python"][-1] == "2.00000000\n"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_does_not_run_alone_says_what_it_needs(page: Path) -> None:
    found = blocks(page)
    assert not [block.code for block in found if block.language == "py" and block.title is None]
    if any(block.language == "python" and block.title for block in found):
        assert page.name in (ROOT / RUN_ELSEWHERE[name_of(page)]).read_text()


def test_each_fence_is_read() -> None:
    """The site and these tests read the same blocks: a language, and a title at most."""
    for page in PAGES:
        fences = re.findall(r"^ *```", page.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lists_and_tables_look_the_same_on_the_site(page: Path) -> None:
    """The Markdown of the site wants a blank line before a list or table, and four spaces before a list in a list."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^ {1,3}(?:[-*]|\d+\.) .*", text, re.MULTILINE) == []
    assert re.findall(r"^(?![-*|\d ]).+\n(?:(?:[-*]|\d+\.) |\|).*", text, re.MULTILINE) == []


def test_what_is_guaranteed_is_said_in_three_sentences() -> None:
    page = (ROOT / "docs/client.md").read_text()
    guarantee = page.partition("<!-- guarantee -->\n")[2].partition("\n<!-- end -->")[0]
    assert len(guarantee.splitlines()) == 3
    assert len(re.findall(r"\.(?=\s|$)", guarantee)) == 3


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_make_targets_on_the_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for block in blocks(page):
            for target in re.findall(r"^make (\S+)", block.code, re.MULTILINE):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
