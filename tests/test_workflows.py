"""What the workflows promise: pinned actions, few permissions, and the versions that the package names."""

from __future__ import annotations

import re
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
