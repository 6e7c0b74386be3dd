"""The client of this package as a control program: JSON lines in, answers and reports out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from ..exceptions import CryptoprotoError
from .driver import ClientDriver

__all__ = ["drive"]


async def drive(reader: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
    """Take actions from *reader* until it ends.

    Args:
        reader: one JSON object a line.
        write: called with each line of the answer.
    """

    def put(value: dict[str, Any]) -> None:
        write(msgspec.json.encode(value, enc_hook=str) + b"\n")

    driver = ClientDriver(put)
    try:
        while line := await reader.readline():
            put(await _answer(driver, line))
    finally:
        with contextlib.suppress(CryptoprotoError):
            await driver.do({"do": "reset"})


async def _answer(driver: ClientDriver, line: bytes) -> dict[str, Any]:
    try:
        action = msgspec.json.decode(line, type=dict[str, Any])
        unsupported = await driver.do(action)
    except (msgspec.DecodeError, CryptoprotoError, ValueError) as error:
        return {"error": str(error)}
    return {"ok": True} if unsupported is None else {"unsupported": unsupported}
