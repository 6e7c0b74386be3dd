"""A demonstration of licenses on this machine, with real processes and sockets: ``make demo-license``.

It makes keys and an agreement for one license, and starts two gateways, of which one is refused. The licensed gateway
survives an outage of the manager and a restart during the outage. When it stops, the waiting gateway gets the license.
The exit code is 0 only if every step succeeded.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path

PERIOD_S = 12.0  # the life of a token; in production it has hours
PATIENCE_S = 30.0  # a step that takes longer has failed
CLI = (sys.executable, "-c", "from cryptoproto.cli import main; main()", "license")
GATEWAY = Path(__file__).with_name("licensed_gateway.py")


class StepFailed(Exception):
    """A step of the demonstration failed."""


class Process:
    """A process that writes lines of JSON."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    @classmethod
    async def start(cls, name: str, *command: object, folder: Path) -> Process:
        """Start it in *folder*. Its standard error goes to a file there."""
        errors = (folder / f"{name.replace(' ', '-')}.log").open("ab")
        with errors:
            process = await asyncio.create_subprocess_exec(
                *map(str, command), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=errors
            )
        return cls(name, process)

    async def line(self) -> dict[str, str]:
        """The next line."""
        if self._process.stdout is None:
            raise StepFailed(f"{self.name} has no output")
        text = await self._process.stdout.readline()
        if not text:
            raise StepFailed(f"{self.name} ended")
        content: dict[str, str] = json.loads(text)
        return content

    async def until(self, event: str) -> dict[str, str]:
        """The next line with that event; earlier lines are skipped."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    line = await self.line()
                    if line.get("event") == event:
                        return line
        except TimeoutError:
            raise StepFailed(f"{self.name}: no {event!r} within {PATIENCE_S:.0f} s") from None

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal, unless it has ended, and wait until it has ended."""
        if self._process.returncode is None:
            self._process.send_signal(how)
        await self._process.wait()


def say(text: str) -> None:
    print(text, flush=True)


async def command(folder: Path, *arguments: object) -> str:
    process = await asyncio.create_subprocess_exec(
        *CLI, *map(str, arguments), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    if process.returncode:
        raise StepFailed(f"license {arguments[0]}: {error.decode().strip()}")
    return out.decode().strip()


async def manager(folder: Path, port: int) -> tuple[Process, int]:
    process = await Process.start(
        "manager", *CLI, "serve", "--keys", "manager.json", "--port", port, "--json", folder=folder
    )
    url = (await process.line())["url"]
    return process, int(url.rsplit(":", 1)[1])


async def gateway(folder: Path, number: int, login: str, port: int) -> Process:
    return await Process.start(
        f"gateway {number}",
        *(sys.executable, GATEWAY, f"http://127.0.0.1:{port}", "--keys", "keys.json"),
        *("--manager-key", "manager.pub.json", "--login", login, "--cache-dir", "cache"),
        *("--period", PERIOD_S, "--retry", 1),
        folder=folder,
    )


async def story(folder: Path, running: list[Process]) -> None:
    public_key = await command(folder, "keygen", "keys.json")
    say(f"1. the gateway's owner makes keys:            {public_key}")
    pinned = json.loads(await command(folder, "manager-key", "manager.json", "--json"))["manager_key"]
    say(f"2. the licensor makes keys; pinned:           {pinned[:40]}…")
    await command(
        folder, "agreement", "add", "--licenses", 1, "--lock-period", f"{PERIOD_S}s", "--", public_key, "demo-*"
    )
    say(f"3. an agreement for one license, locked for   {PERIOD_S:.0f} s at a time")
    server, port = await manager(folder, 0)
    running.append(server)
    say(f"4. the license manager listens on             127.0.0.1:{port}")

    first = await gateway(folder, 1, "A1", port)
    running.append(first)
    token = (await first.until("token"))["token"]
    say(f"5. gateway 1 (login A1) is licensed:          token {token[:8]}")
    second = await gateway(folder, 2, "A2", port)
    running.append(second)
    refusal = await second.until("refused")
    if "no_free_license" not in refusal["why"]:
        raise StepFailed(f"gateway 2 was refused for another reason: {refusal['why']}")
    say("6. gateway 2 (login A2) is refused:           there is no free license; it waits")
    renewed = (await first.until("renewed"))["token"]
    say(f"7. gateway 1 renews early:                    token {renewed[:8]}")

    await server.end(signal.SIGKILL)
    say("8. the manager is killed")
    trouble = await first.until("trouble")
    if trouble["state"] != "licensed":
        raise StepFailed(f"gateway 1 did not survive the outage: {trouble}")
    say("9. gateway 1 cannot renew, but works on:      licensed until its token expires")
    await first.end()
    first = await gateway(folder, 1, "A1", port)
    running.append(first)
    if (await first.until("started"))["state"] != "licensed":
        raise StepFailed("gateway 1 did not find its cached token")
    say("10. gateway 1 restarts without a manager:     licensed with its cached token")

    server, _ = await manager(folder, port)
    running.append(server)
    locks = json.loads(await command(folder, "locks", "--json"))
    if len(locks) != 1:
        raise StepFailed(f"the manager came back with {len(locks)} locks")
    say("11. the manager is back, with its one lock")
    token = (await first.until("renewed"))["token"]
    say(f"12. gateway 1 renews:                         token {token[:8]}")

    await first.end()
    resumed = (await second.until("token"))["token"]
    say(f"13. gateway 1 stops; when its lock ends, gateway 2 has the license: token {resumed[:8]}")
    usage = json.loads(await command(folder, "usage", "--json"))
    granted, refused = (sum(int(row[name]) for row in usage) for name in ("granted", "refused"))
    say(f"14. the manager's usage records:              {granted} tokens, {refused} refusals, {len(usage)} runs")


def show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)


async def main() -> int:
    running: list[Process] = []
    with tempfile.TemporaryDirectory(prefix="license-demo-") as name:
        try:
            await story(Path(name), running)
        except StepFailed as error:
            print(f"FAILED: {error}", file=sys.stderr)
            show_logs(Path(name))
            return 1
        finally:
            for process in running:
                await process.end()
    say("the license demo went as it should")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
