"""The sdist and the wheel, the README on the package index, and the container image."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import readme_renderer.markdown
import yaml

import cryptoproto as cp
from tests.support.command_line import process_environment
from tests.support.html_page import HtmlPage

ROOT: Final = Path(__file__).parents[1]
REPOSITORY: Final = "https://github.com/cryptoproto/cryptoproto/"
FILES: Final = re.compile(
    r"https://(?:github\.com/cryptoproto/cryptoproto/(?:blob|tree)|raw\.githubusercontent\.com/cryptoproto/cryptoproto)/main/([^#]+)"
)
NOT_IN_THE_SDIST: Final = {".dockerignore", ".gitattributes"}
"""Files of the repository that only git and builds of images read."""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=process_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "hatchling", "build", "--directory", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built / f"cryptoproto-{cp.__version__}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / f"cryptoproto-{cp.__version__}"


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def tracked() -> set[str]:
    """The files of the repository, new ones included."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout of the repository")
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    return {name for name in names if (ROOT / name).is_file()}


def test_the_sdist_has_every_file_of_the_repository(unpacked: Path) -> None:
    assert tracked() - NOT_IN_THE_SDIST <= files_in(unpacked)
    assert files_in(unpacked) - tracked() == {"PKG-INFO"}


def test_the_suite_runs_from_the_sdist(unpacked: Path) -> None:
    tests = ["tests/wire/test_handshake.py", "tests/test_workflows.py", "tests/exchange/test_matching.py"]
    code = "import cryptoproto, pathlib, pytest, sys; print(cryptoproto.__file__); sys.exit(pytest.main(sys.argv[1:]))"
    environment = process_environment() | {"PYTHONPATH": str(unpacked)}
    done = subprocess.run(
        [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", *tests],
        cwd=unpacked,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == str(unpacked / "cryptoproto" / "__init__.py")
    assert re.search(r"\d+ passed", done.stdout)


def test_the_wheel_has_the_package_and_nothing_else(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {name for name in tracked() if name.startswith("cryptoproto/")}
    assert names == expected | {"_cryptoproto_pytest.py"}


def test_the_readme_renders_on_the_package_index() -> None:
    """The index shows only what its renderer lets through, and does not resolve relative links."""
    html = readme_renderer.markdown.render((ROOT / "README.md").read_text())
    assert html is not None
    page = HtmlPage(html)
    assert {"h1", "h2", "table", "pre", "img", "a"} <= set(page.tags)
    assert [target for target in page.targets if not target.startswith(("https://", "#user-content-"))] == []
    files = [found[1] for target in page.targets if (found := FILES.fullmatch(target.partition("#")[0]))]
    assert len(files) > 20
    assert [name for name in files if not (ROOT / name).exists()] == []
    for target in page.targets:
        assert FILES.match(target) or not target.startswith(REPOSITORY), target


CONTAINERFILE: Final = ROOT / "deploy" / "Containerfile"


def instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name:
            yield name, rest.strip()


def test_the_containerfile_passes_its_linter() -> None:
    run(Path(sys.executable).parent / "hadolint", CONTAINERFILE, cwd=ROOT)


def test_what_the_containerfile_copies_reaches_the_build() -> None:
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _ = shlex.split(rest)
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source in allowed, source


def test_the_image_builds_from_what_is_copied(tmp_path: Path) -> None:
    """The wheel of the image, built from the copied files alone; and the extras that its commands need."""
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            for source in shlex.split(rest)[:-1]:
                (tmp_path / source).symlink_to(ROOT / source)
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path / "out", cwd=tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"cryptoproto-{cp.__version__}-py3-none-any.whl"]
    (extras,) = {found for _, rest in instructions() for found in re.findall(r"'\.\[([a-z,]+)\]'", rest)}
    assert set(extras.split(",")) == {"cli", "fast", "gateway", "metrics"}


def test_the_versions_agree() -> None:
    """The tag of a release, its heading in the changelog, and the version of the package."""
    headings = re.findall(
        r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == cp.__version__
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    steps = [step.get("run", "") for step in release["jobs"]["build"]["steps"]]
    assert any("GITHUB_REF_NAME#v" in step for step in steps)
