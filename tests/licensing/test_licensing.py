"""What the package exports, and what it needs for it."""

from __future__ import annotations

from cryptoproto.licensing import (
    InvalidToken,
    LicensingError,
    MalformedMessage,
    SealBroken,
)


def test_all_errors_are_of_one_branch() -> None:
    assert issubclass(MalformedMessage, LicensingError)
    assert issubclass(InvalidToken, LicensingError)
    assert issubclass(SealBroken, LicensingError)
