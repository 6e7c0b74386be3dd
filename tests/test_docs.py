"""The code on the pages runs, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import process_environment

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])


RUN_AS_A_WHOLE = frozenset(
    (
        "README",
        "tutorial",
        "exchange",
        "client",
        "connection",
        "history",
        "instruments",
        "keys",
        "profiles",
        "quotes",
        "status",
    )
)
"""The pages whose blocks follow each other, as one program."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python") and page.stem in RUN_AS_A_WHOLE],
    ids=lambda page: f"{page.parent.name}-{page.stem}" if page.stem == "README" else page.stem,
)
def test_python_on_the_page_runs(page: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page.stem}.py"
    script.write_text("".join(blocks(page, "python")))
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", script],
        cwd=tmp_path,
        env=process_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr


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
        for block in blocks(page, "sh"):
            for target in re.findall(r"^make (\S+)", block, re.MULTILINE):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
