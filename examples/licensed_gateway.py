"""A gateway that works only while it is licensed: a minimal process with a LicenseAgent.

``make demo-license`` runs it. By hand:

    python examples/licensed_gateway.py http://127.0.0.1:8390 --keys keys.json --manager-key manager.pub.json \
        --login A1 --cache-dir cache

It prints one line of JSON when something changes: its state, its token, or the error of an attempt.
"""

from __future__ import annotations

import argparse
import asyncio
import json

from cryptoproto.licensing import Deployment, LicenseAgent, LicenseExpired, LicenseState, Schedule


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def work(agent: LicenseAgent) -> None:
    """Stands for trading: checks the license before every step, and waits without one."""
    token_id, failure = "", ""
    while True:
        try:
            agent.ensure()
        except LicenseExpired as error:
            tell(event="stopped", why=str(error))
            token = await agent.licensed()
            tell(event="resumed", token=token.token_id)
        if agent.state is LicenseState.LICENSED and agent.token.token_id != token_id:
            tell(event="renewed" if token_id else "token", token=agent.token.token_id)
            token_id = agent.token.token_id
        if str(agent.last_error or "") != failure:
            failure = str(agent.last_error or "")
            tell(event="trouble" if failure else "recovered", state=agent.state, why=failure)
        await asyncio.sleep(0.1)


async def main() -> None:
    parser = argparse.ArgumentParser(description="A gateway that works only while it is licensed.")
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--keys", required=True)
    parser.add_argument("--manager-key", required=True)
    parser.add_argument("--login", action="append", default=[])
    parser.add_argument("--cache-dir", required=True)
    parser.add_argument("--period", type=float, default=7200.0)
    parser.add_argument("--retry", type=float, default=60.0)
    options = parser.parse_args()
    async with LicenseAgent(
        options.urls,
        keys=options.keys,
        manager_key=options.manager_key,
        package="demo-gateway",
        logins=options.login,
        cache_dir=options.cache_dir,
        deployment=Deployment(package_version="1.0", api="demo"),
        schedule=Schedule(lock_period_s=options.period, retry_interval_s=options.retry),
    ) as agent:
        tell(event="started", state=agent.state)  # licensed at once if a cached token is still valid
        try:
            await agent.ready()
        except LicenseExpired as error:
            tell(event="refused", why=str(error))
            await agent.licensed()
        await work(agent)


if __name__ == "__main__":
    asyncio.run(main())
