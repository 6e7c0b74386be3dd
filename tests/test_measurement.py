"""What is measured: tests by their name if that is asked for, and nothing of those with the marker ``unmeasured``."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from tests.support.measurement import leave_to_workers, measured_as

FOR_CHILDREN = "COVERAGE_PROCESS_CONFIG"


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """Coverage.py that measures, as far as it is used."""
    measured = mock.Mock()
    module = SimpleNamespace(Coverage=SimpleNamespace(current=lambda: measured))
    monkeypatch.setitem(sys.modules, "coverage", module)
    monkeypatch.setenv(FOR_CHILDREN, "settings")
    monkeypatch.delenv("CONTEXTS", raising=False)
    return measured


def test_a_test_is_measured(coverage: mock.Mock, request: pytest.FixtureRequest) -> None:
    with measured_as(request.node):
        assert os.environ[FOR_CHILDREN] == "settings"
    assert coverage.mock_calls == []


def test_its_name_is_noted_if_that_is_asked_for(
    coverage: mock.Mock, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTEXTS", "1")
    with measured_as(request.node):
        pass
    assert coverage.mock_calls == [mock.call.switch_context(request.node.nodeid)]


@pytest.mark.unmeasured
def test_neither_a_test_with_the_marker_nor_its_children_are_measured(
    coverage: mock.Mock, request: pytest.FixtureRequest
) -> None:
    with measured_as(request.node):
        assert coverage.mock_calls == [mock.call.stop()]
        assert FOR_CHILDREN not in os.environ
    assert coverage.mock_calls == [mock.call.stop(), mock.call.start()]
    assert os.environ[FOR_CHILDREN] == "settings"


@pytest.mark.parametrize("loaded", [True, False])
def test_without_coverage_nothing_happens(
    loaded: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if loaded:
        module = SimpleNamespace(Coverage=SimpleNamespace(current=lambda: None))
        monkeypatch.setitem(sys.modules, "coverage", module)
    else:
        monkeypatch.delitem(sys.modules, "coverage", raising=False)
    leave_to_workers(request.config)
    with measured_as(request.node):
        pass


@pytest.mark.parametrize(
    ("workers", "is_worker", "stopped"), [(2, False, True), (2, True, False), (None, False, False)]
)
def test_only_the_process_that_gives_tests_away_is_not_measured(
    coverage: mock.Mock, workers: int | None, is_worker: bool, stopped: bool
) -> None:
    config = mock.Mock(spec=["getoption", "workerinput"] if is_worker else ["getoption"])
    config.getoption.return_value = workers
    leave_to_workers(config)
    assert coverage.stop.called is stopped
