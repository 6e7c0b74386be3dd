"""Writes the configuration of NATS servers in which each strategy has only its own rights, and the keys for it."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import nkeys

from ..exceptions import ConfigurationError
from ..private_file import read_private, write_private
from .names import Names, check_strategy
from .rights import Rights, gateway_rights, operator_rights, strategy_rights

__all__ = ["Listening", "ServerFiles", "write_server_config"]

_SERVER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_CLUSTER_PORT: Final = 6222
_HEAD: Final = """\
# A NATS server for cryptoproto gateways, written by: cryptoproto gateway config
# To add a strategy, run the command again; keys that exist are kept. Then: nats-server --signal reload
# Secrets: the password of the cluster, if there is one. The keys here are public; the seeds are in seeds/.
"""


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where servers listen, and where they keep their streams.

    Attributes:
        host: the address for clients.
        port: the port for clients.
        store: the folder for JetStream.
        servers: the host names of the servers of a cluster; empty = one server alone.
        tls_cert: the certificate chain (PEM).
        tls_key: its private key.
        tls_ca: the certificates that the servers of a cluster check each other by.
        insecure: allow other machines to connect without TLS.

    Raises:
        ConfigurationError: these do not go together.
    """

    host: str = "127.0.0.1"
    port: int = 4222
    store: str = "jetstream"
    servers: tuple[str, ...] = ()
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_ca: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise ConfigurationError("a certificate and its key belong together: give both or neither")
        is_remote = bool(self.servers) or self.host not in ("127.0.0.1", "localhost", "::1")
        if len(self.servers) in (1, 2):
            raise ConfigurationError(
                f"a cluster has at least three servers, so that a majority is left when one fails; there is only "
                f"{' and '.join(self.servers)}. For one server alone, name none"
            )
        if is_remote and self.tls_cert is None and not self.insecure:
            where = "between the servers" if self.servers else f"to {self.host}"
            raise ConfigurationError(
                f"orders would cross the network {where} without TLS: give a certificate and its key, or say that "
                f"the network is trusted (insecure)"
            )
        for server in self.servers:
            if not _SERVER.fullmatch(server):
                raise ConfigurationError(f"{server!r:.100} is not the host name of a server")


class ServerFiles(msgspec.Struct, frozen=True):
    """What was written.

    Attributes:
        configs: one for each server.
        gateway_seed: for gateways.
        operator_seed: for operators.
        strategy_seeds: by strategy.
    """

    configs: list[Path]
    gateway_seed: Path
    operator_seed: Path
    strategy_seeds: dict[str, Path]


def write_server_config(
    folder: str | os.PathLike[str], names: Names, strategies: Sequence[str], listening: Listening
) -> ServerFiles:
    """Write a configuration for each server, and a seed for each user that has none.

    Strategies that have a seed in *folder* keep their rights. To take them away, delete the seed and write anew.

    Args:
        folder: created if it does not exist; everything in it is readable for its owner only.
        names: of the client id.
        strategies: those to add.
        listening: where servers listen.

    Raises:
        ConfigurationError: a name or a file cannot be used.
    """
    root = Path(folder)
    seeds = root / "seeds"
    for strategy in strategies:
        check_strategy(strategy)
    try:
        seeds.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {path.stem.removeprefix("strategy-") for path in seeds.glob("strategy-*.nk")}
    except OSError as error:
        raise ConfigurationError(f"{root}: the folder cannot be made: {error.strerror}") from error
    everybody = sorted({*found, *strategies})
    users = [
        ("gateways", _public_key(seeds / "gateway.nk"), gateway_rights(names)),
        ("operators", _public_key(seeds / "operator.nk"), operator_rights(names)),
        *(
            (f"strategy {each}", _public_key(seeds / f"strategy-{each}.nk"), strategy_rights(names, each))
            for each in everybody
        ),
    ]
    password = _password(seeds / "cluster.password") if listening.servers else ""
    configs = []
    for server in listening.servers or ("",):
        path = root / f"{server or 'nats'}.conf"
        text = _config(names, users, listening, server, password)
        write_private(path, text.encode(), what="server configuration", overwrite=True)
        configs.append(path)
    return ServerFiles(
        configs,
        seeds / "gateway.nk",
        seeds / "operator.nk",
        {each: seeds / f"strategy-{each}.nk" for each in everybody},
    )


def _public_key(path: Path) -> str:
    """The public key of the seed in a file, which is made if it does not exist."""
    try:
        seed = read_private(path, what="nkey seed").strip()
    except FileNotFoundError:
        seed = bytes(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER))
        write_private(path, seed + b"\n", what="nkey seed", overwrite=False)
    try:
        key = nkeys.from_seed(seed)
        public = str(key.public_key, "ascii")
        key.wipe()
    except (nkeys.NkeysError, ValueError):
        raise ConfigurationError(f"{path}: this is not an nkey seed") from None
    return public


def _password(path: Path) -> str:
    try:
        return read_private(path, what="password of the cluster").decode("ascii", "replace").strip()
    except FileNotFoundError:
        password = secrets.token_urlsafe(32)
        write_private(path, f"{password}\n".encode(), what="password of the cluster", overwrite=False)
        return password


def _config(
    names: Names, users: list[tuple[str, str, Rights]], listening: Listening, server: str, password: str
) -> str:
    host = f"[{listening.host}]" if ":" in listening.host else listening.host
    lines = [_HEAD]
    if server:
        lines.append(f"server_name: {_text(server)}")
    lines += [
        f"listen: {_text(f'{host}:{listening.port}')}",
        "",
        "jetstream {",
        f"  store_dir: {_text(listening.store)}",
        "  # By default, an acknowledged message may not be on disk for two minutes.",
        "  sync_interval: always",
        "}",
        "",
        *_tls(listening, indent="", of_cluster=False),
    ]
    if server:
        routes = ", ".join(
            _text(f"nats-route://cluster:{password}@{each}:{_CLUSTER_PORT}")
            for each in listening.servers
            if each != server
        )
        lines += [
            "cluster {",
            f"  name: {_text(names.prefix)}",
            f"  listen: {_text(f'{host}:{_CLUSTER_PORT}')}",
            f"  authorization {{ user: cluster, password: {_text(password)} }}",
            f"  routes: [{routes}]",
            *_tls(listening, indent="  ", of_cluster=True),
            "}",
            "",
        ]
    lines += ["accounts {", f"  {_text(names.account)} {{", "    jetstream: enabled", "    users: ["]
    for role, key, rights in users:
        lines += [
            f"      # {role}",
            "      {",
            f"        nkey: {key}",
            "        permissions {",
            f"          publish: {json.dumps(rights.publish)}",
            f"          subscribe: {json.dumps(rights.subscribe)}",
            "        }",
            "      }",
        ]
    lines += ["    ]", "  }", "}", ""]
    return "\n".join(lines)


def _tls(listening: Listening, *, indent: str, of_cluster: bool) -> list[str]:
    if listening.tls_cert is None or listening.tls_key is None:
        return []
    lines = [
        f"{indent}tls {{",
        f"{indent}  cert_file: {_text(listening.tls_cert)}",
        f"{indent}  key_file: {_text(listening.tls_key)}",
    ]
    if of_cluster and listening.tls_ca is not None:
        lines += [f"{indent}  ca_file: {_text(listening.tls_ca)}", f"{indent}  verify: true"]
    return [*lines, f"{indent}}}", ""]


def _text(value: str) -> str:
    return json.dumps(value)
