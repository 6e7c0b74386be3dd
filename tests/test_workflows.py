"""What the workflows promise: pinned actions, few permissions, and the versions that the package names."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["jobs"]
    assert found
    return found


@each_workflow
def test_actions_are_pinned_to_a_commit(path: Path) -> None:
    uses = re.findall(r"uses: (.+)", path.read_text())
    assert uses
    for action in uses:
        assert re.fullmatch(r"\./\.github/workflows/\w+\.yml|[\w/.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_an_action_has_one_version() -> None:
    commits: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, commit in re.findall(r"uses: ([\w/-]+)@(\w+)", path.read_text()):
            commits.setdefault(action, set()).add(commit)
    assert {action: found for action, found in commits.items() if len(found) > 1} == {}


@each_workflow
def test_every_job_says_what_it_may_do(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    for name, job in jobs(path).items():
        writes = {scope for scope, access in job["permissions"].items() if access != "read"}
        assert writes <= ({"id-token", "attestations"} if path.stem == "release" else set()), name


@each_workflow
def test_credentials_do_not_stay_in_the_checkout(path: Path) -> None:
    steps = [step for job in jobs(path).values() for step in job.get("steps", ())]
    for step in steps:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_tested_versions_are_those_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    makefile = (ROOT / "Makefile").read_text()
    tested = jobs(ROOT / ".github" / "workflows" / "ci.yml")["test"]["strategy"]["matrix"]["python"]
    assert tested == named
    assert re.findall(r"^VERSIONS := (.+)$", makefile, re.MULTILINE) == [" ".join(named)]
    assert project["requires-python"] == f">={named[0]}"


@each_workflow
def test_make_targets_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for job in jobs(path).values():
        for step in job.get("steps", ()):
            for target in re.findall(r"^make (\S+)", step.get("run", ""), re.MULTILINE):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_pages_that_workflows_test_exist() -> None:
    for path in WORKFLOWS:
        for file in re.findall(r"\btests/\S+\.py", path.read_text()):
            assert (ROOT / file).is_file(), file


@pytest.mark.parametrize(
    ("tag", "changelog", "published"),
    [
        ("v0.2.0", "## [Unreleased]\n\n## [0.2.0] - 2026-12-31\n\n- A change.\n", True),
        ("v0.2.0", "## [Unreleased]\n\n- A change.\n\n## [0.2.0] - 2026-12-31\n", False),
        ("v0.2.0", "## [Unreleased]\n\n## [0.1.0] - 2026-11-28\n", False),
        ("v0.3.0", "## [Unreleased]\n\n## [0.3.0] - 2027-01-31\n", False),
    ],
    ids=["as it should be", "left under Unreleased", "not in the changelog", "another version"],
)
def test_a_tag_that_does_not_fit_is_not_published(tag: str, changelog: str, published: bool, tmp_path: Path) -> None:
    steps = jobs(ROOT / ".github" / "workflows" / "release.yml")["build"]["steps"]
    (script,) = (
        step["run"] for step in steps if step.get("name") == "The tag is the version, and the changelog has it"
    )
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "cryptoproto-0.2.0.tar.gz").touch()
    environment = {"PATH": os.environ["PATH"], "GITHUB_REF_NAME": tag}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode == 0) == published
