"""``cryptoproto apikeys``: a gateway to try clients on, keys, and signed requests by hand.

Secrets come from files, the environment or a prompt. Arguments never contain one, because every user of the machine
can read them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Coroutine, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from ..arguments import check_http_url
from ..exceptions import ConfigurationError, OutcomeUnknown, RequestNotSent
from ..extras import needs
from ..keys import PrivateKey
from ..private_file import read_private, write_private
from ..transport.bind_error import bind_error
from .options import load_private_key, not_negative
from .prompts import ask_secret

if TYPE_CHECKING:  # the extras may be missing, and importing them would slow every other command down
    import httpx

    from ..apikeys import Session

__all__ = ["app"]

_LAST_PORT: Final = 65_535
SECRET_VARIABLE = "CRYPTOPROTO_API_SECRET"  # noqa: S105 - the name of a variable

app: typer.Typer = typer.Typer(
    name="apikeys",
    help="Sign requests with API keys, and run a gateway that checks them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class KeyKind(StrEnum):
    """The two kinds of API key."""

    BASIC = "basic"
    SESSION = "session"


JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[str, typer.Argument(help="The whole URL, as it will be sent.", show_default=False)]
Name = Annotated[str, typer.Option("--key", "-k", help="The name of the API key.", show_default=False)]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file", help=f"A file that holds the secret; otherwise ${SECRET_VARIABLE}, otherwise a prompt."
    ),
]
Body = Annotated[str, typer.Option("--data", "-d", help="The body; @file reads one, @- standard input.")]
Root = Annotated[str, typer.Option(help="The path of the login calls.")]
ContentType = Annotated[str, typer.Option(help="The body's type; a form is signed as parameters.")]
Prefix = Annotated[str, typer.Option(help="What a proxy removes from the front of the path.")]


def _port(value: int) -> int:
    if not 0 <= value <= _LAST_PORT:
        raise typer.BadParameter(f"must be 0 to {_LAST_PORT}, not {value}")
    return value


@app.command()
def serve(
    config: Annotated[Path, typer.Option("--config", "-c", help="An application.yaml, or a JSON file of keys.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(callback=_port, metavar="<port>", help="The port to listen on; 0 for any free one.")
    ] = 8099,
    path_prefix: Annotated[str, typer.Option(help="What a proxy in front leaves at the front of the path.")] = "",
    max_body: Annotated[
        int, typer.Option(callback=not_negative, metavar="<bytes>", help="Bytes of the longest body that is accepted.")
    ] = 1 << 20,
    both_flows: Annotated[
        bool, typer.Option("--both-flows", help="With sessions enabled, accept keys with a secret as well.")
    ] = False,
    allow_repeated: Annotated[
        bool,
        typer.Option(
            "--allow-repeated-parameters", help="Accept repeated parameters, of which only the first is signed."
        ),
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="A PEM file with a certificate: serve https and wss.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="A PEM file with the certificate's private key.")] = None,
    no_access_log: Annotated[bool, typer.Option("--no-access-log", help="Do not log each request.")] = False,
) -> None:
    """Run a gateway with a small demonstration API: /api/v0/streams, /ws/v0/{stream}/select and STOMP at /stomp/v0.

    Example: [bold]cryptoproto apikeys serve --config application.yaml --port 8099[/]
    """
    with needs("this command", "apikeys", "server"):
        from ..apikeys.server import Gatekeeper, load_config
        from ..apikeys.server.demonstration import demonstration_app, running

    if tls_key is not None and tls_cert is None:
        raise typer.BadParameter("give the certificate as well", param_hint="--tls-cert")

    async def run(gatekeeper: Gatekeeper) -> None:
        application = demonstration_app(gatekeeper, path_prefix=path_prefix, max_body=max_body)
        stop = asyncio.Event()
        with contextlib.suppress(NotImplementedError, RuntimeError):  # on Windows, or beside the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        async with running(application, host=host, port=port, tls_cert=tls_cert, tls_key=tls_key) as address:
            sessions = gatekeeper.config.sessions.enabled
            flow = "both flows" if sessions and both_flows else "session flow" if sessions else "basic flow"
            _say(f"serving at {address}, {flow}, API keys: {len(gatekeeper.config.keys)}; end with Ctrl-C")
            await stop.wait()

    with _logs_on_stderr(access=not no_access_log):
        keys = load_config(config, both_flows=both_flows)
        try:
            _run(run(Gatekeeper(keys, allow_repeated_parameters=allow_repeated)))
        except OSError as error:
            raise ConfigurationError(bind_error(error, host, port)) from None


@app.command()
def keygen(
    kind: Annotated[KeyKind, typer.Argument(help="A secret for the basic flow, or an RSA key for sessions.")],
    name: Annotated[str, typer.Option(help="The name of the API key.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the secret or the private key goes, mode 0600.")],
    user: Annotated[str, typer.Option(help="The user on whose behalf the key acts.")] = "admin",
    bits: Annotated[int, typer.Option(metavar="<bits>", help="Length of the RSA key.")] = 2048,
    as_json: JsonFlag = False,
) -> None:
    """Make an API key. The client's half is written to a file, the gateway's entry to standard output.

    Example: [bold]cryptoproto apikeys keygen session --name TRADER --out trader.pem[/]
    """
    if not name:
        raise ConfigurationError("the name of an API key cannot be empty")
    entry: dict[str, Any] = {"name": name, "user": user, "authorities": ["TB_ALLOW_READ", "TB_ALLOW_WRITE"]}
    if kind is KeyKind.SESSION:
        key = PrivateKey.generate(bits)
        key.save(out)
        entry["key"] = base64.b64encode(key.public_key.to_der()).decode()
    else:
        _write_new_secret(out, secrets.token_urlsafe(36))
        entry["key"] = ""  # a gateway refuses an empty key, so it cannot become the secret by mistake
        _say(f"the secret is only in {out}; copy it from there into the `key` of this entry")
    if as_json:
        typer.echo(json.dumps({"apiKeys": [entry]}, indent=2))
        return
    typer.echo("security:\n  api-keys-provider:\n    api-keys:")
    typer.echo(f"      - name: {json.dumps(name)}\n        key: {json.dumps(entry['key'])}")
    typer.echo(f"        user: {json.dumps(user)}\n        authorities: [TB_ALLOW_READ, TB_ALLOW_WRITE]")


@app.command()
def sign(
    method: Annotated[str, typer.Argument(help="Such as GET.", show_default=False)],
    url: Url,
    key: Name,
    secret_file: SecretFile = None,
    data: Body = "",
    content_type: ContentType = "application/json",
    path_prefix: Prefix = "",
    as_json: JsonFlag = False,
) -> None:
    """Show what is signed, and the headers to send, for one request of the basic flow.

    Example: [bold]cryptoproto apikeys sign GET 'http://localhost:8099/api/v0/streams?b=1' -k TEST_API_KEY[/]
    """
    from ..apikeys import ApiKeyAuth
    from ..apikeys.canonical import payload_of_url

    body = _body(data)
    auth = ApiKeyAuth(key, _secret(secret_file), path_prefix=path_prefix)
    headers = auth.headers(method, url, body, content_type=content_type)
    payload = payload_of_url(method, url, body, content_type=content_type, path_prefix=path_prefix.rstrip("/"))
    text = payload.decode(errors="replace")
    if as_json:
        typer.echo(json.dumps({"payload": text, "headers": headers}, ensure_ascii=False))
        return
    _say(f"payload: {text}")
    for name, value in headers.items():
        typer.echo(f"{name}: {value}")


@app.command()
def login(
    base_url: Annotated[str, typer.Argument(help="The gateway's address.", show_default=False)],
    key: Name,
    private_key: Annotated[Path, typer.Option(help="A file with the private key: PEM, or base64 of DER.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the session goes, mode 0600.")],
    root: Root = "/api/v1/login",
    as_json: JsonFlag = False,
) -> None:
    """Log in and keep the session in a file, for `request --session`.

    Example: [bold]cryptoproto apikeys login http://localhost:8099 -k TRADER --private-key trader.pem -o session.json[/]
    """
    from ..apikeys import SessionAuth

    check_http_url(base_url)

    async def run() -> Session:
        auth = await SessionAuth.login(base_url, key, _private_key(private_key), root=root)
        try:
            return auth.session
        finally:
            await auth.close()  # without a logout, because the session goes on

    _keep(_run(run()), out, as_json=as_json)


@app.command()
def request(
    method: Annotated[str, typer.Argument(help="Such as GET.", show_default=False)],
    url: Url,
    key: Annotated[str | None, typer.Option("--key", "-k", help="The name of an API key of the basic flow.")] = None,
    secret_file: SecretFile = None,
    session: Annotated[Path | None, typer.Option(help="A session file that `login` wrote.")] = None,
    data: Body = "",
    content_type: ContentType = "application/json",
    path_prefix: Prefix = "",
    as_json: JsonFlag = False,
) -> None:
    """Send one signed request and print the answer; exit code 0 for a status below 400.

    Example: [bold]cryptoproto apikeys request GET http://localhost:8099/api/v0/streams --session session.json[/]
    """
    if (key is None) == (session is None):
        raise typer.BadParameter("give either --key or --session", param_hint="--key / --session")
    with needs("this command", "apikeys"):
        import httpx

    from ..apikeys import ApiKeyAuth, Session
    from ..apikeys.canonical import check_method

    body = _body(data)
    check_http_url(url)
    message = httpx.Request(check_method(method).upper(), url, content=body or None)
    target = message.url.raw_path.decode("ascii")
    if key is not None:
        signer = ApiKeyAuth(key, _secret(secret_file), path_prefix=path_prefix)
        message.headers.update(signer.headers(message.method, target, body, content_type=content_type))
    elif session is not None:
        stored = Session.load(session)
        prefix = path_prefix.rstrip("/")
        message.headers.update(
            stored.headers(message.method, target, body, content_type=content_type, path_prefix=prefix)
        )
        stored.save(session)  # with the nonce that this request uses up
    if body:
        message.headers["Content-Type"] = content_type

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as http:
            return await http.send(message)

    _show(_run(run()), as_json=as_json)


@contextlib.contextmanager
def _logs_on_stderr(*, access: bool) -> Iterator[None]:
    """Show the logs of the gateway and of uvicorn while it runs."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger("cryptoproto.apikeys"), logging.getLogger("uvicorn.error")]
    for logger in loggers:
        logger.addHandler(handler)
    loggers[0].setLevel(logging.INFO)
    logging.getLogger("cryptoproto.apikeys.access").setLevel(logging.INFO if access else logging.WARNING)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        for name in ("cryptoproto.apikeys", "cryptoproto.apikeys.access"):
            logging.getLogger(name).setLevel(logging.NOTSET)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    import httpx

    try:
        return asyncio.run(work)
    except httpx.ConnectError as error:
        raise RequestNotSent(_not_connected(error)) from None
    except httpx.HTTPError as error:
        plain = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError) and error.request.url.scheme == "http"
        hint = "; if this port expects TLS, use https:// instead of http://" if plain else ""
        raise OutcomeUnknown(
            f"no complete answer arrived ({type(error).__name__}); the request may have been processed{hint}"
        ) from None


def _not_connected(error: httpx.ConnectError) -> str:
    """Why there is no connection. The texts of httpx do not name the address."""
    url = error.request.url
    text = f"cannot connect to {url.scheme}://{url.netloc.decode('ascii')}: "
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"{text}its certificate is not trusted; SSL_CERT_FILE can name a file with the certificate to trust"
    if "SSL" in str(error):
        return f"{text}the TLS handshake failed; if this port does not use TLS, use http:// instead of https://"
    if "Name or service" in str(error) or "nodename" in str(error):
        return f"{text}this host name is not known"
    return f"{text}nobody answers there; is the address right, and is the gateway running?"


def _secret(file: Path | None) -> bytes:
    if file is not None:
        try:
            return read_private(file, what="secret").rstrip(b"\r\n")
        except FileNotFoundError:
            raise ConfigurationError(f"{file}: no such secret file") from None
    value = os.environ.get(SECRET_VARIABLE)
    if value:
        return value.encode()
    if not sys.stdin.isatty():
        raise ConfigurationError(f"no secret: give --secret-file, set ${SECRET_VARIABLE}, or run it in a terminal")
    return ask_secret("Secret").encode()


def _private_key(file: Path) -> PrivateKey:
    from ..apikeys.login import api_private_key

    if not file.exists():
        raise ConfigurationError(f"{file}: no such private key file")
    try:
        return load_private_key(file)
    except ConfigurationError:
        if b"-----BEGIN" in _read(file):
            raise
    data = read_private(file, what="private key")
    try:  # base64 of DER, as gateways issue it
        return api_private_key(data.decode("ascii"))
    except (ConfigurationError, UnicodeDecodeError):
        raise ConfigurationError(f"{file}: neither a PEM private key nor base64 of one") from None


def _body(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    return _read(Path(text[1:])) if text.startswith("@") else text.encode()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None


def _keep(session: Session, file: Path, *, as_json: bool) -> None:
    session.save(file)
    if as_json:
        typer.echo(json.dumps({"session_id": session.session_id, "keepalive_s": session.keepalive_s}))
    else:
        _say(f"the session is in {file}; it ends after {session.keepalive_s:g} s without a request")


def _show(response: httpx.Response, *, as_json: bool) -> None:
    """Print an answer.

    Raises:
        typer.Exit: its status is 400 or above.
    """
    if as_json:
        typer.echo(json.dumps({"status": response.status_code, "body": _parsed(response)}, ensure_ascii=False))
    else:
        _say(f"{response.status_code} {response.reason_phrase}")
        typer.echo(response.text)
    if response.status_code >= 400:
        raise typer.Exit(1)


def _write_new_secret(file: Path, secret: str) -> None:
    write_private(file, f"{secret}\n".encode(), what="secret", overwrite=False)


def _parsed(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)
