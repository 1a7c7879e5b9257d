"""The ngrok SDK for Python as a program of the compat suite (compat/README.md describes the protocol)."""

import asyncio
import json
import os
import sys

import ngrok

ENV = os.environ
SCENARIO = sys.argv[1]
UPSTREAM = int(ENV["COMPAT_UPSTREAM_PORT"])


class Unsupported(Exception):
    """This version of the SDK has nothing for the scenario."""


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def call(builder, names, *arguments):
    """Calls the first of the methods that this version has."""
    for name in names.split():
        if hasattr(builder, name):
            return getattr(builder, name)(*arguments)
    raise Unsupported(names)


async def connect():
    builder = getattr(ngrok, "SessionBuilder", None) or ngrok.NgrokSessionBuilder
    builder = builder().server_addr(ENV["COMPAT_CONNECT_ADDR"]).metadata("compat-session")
    if hasattr(builder, "root_cas"):
        builder.root_cas(ENV["COMPAT_CA"])
    else:
        with open(ENV["COMPAT_CA"], "rb") as file:
            builder.ca_cert(bytearray(file.read()))
    builder.authtoken(ENV["COMPAT_AUTHTOKEN"])
    return await builder.connect()


async def idle():
    """Sessions that do nothing, beside the first."""
    return [await connect() for _ in range(1, int(ENV.get("COMPAT_SESSIONS", "1")))]


async def bind(builder, port):
    """Binds, and forwards connections to a port of this machine."""
    if hasattr(builder, "listen_and_forward") and SCENARIO != "metadata":
        # It sets what forwards_to said to the address, which the scenario "metadata" wants to read back.
        scheme = "http" if "Http" in type(builder).__name__ else "tcp"
        return await builder.listen_and_forward(f"{scheme}://127.0.0.1:{port}")
    listener = await builder.listen()
    if hasattr(listener, "forward_tcp"):
        asyncio.ensure_future(listener.forward_tcp(f"127.0.0.1:{port}"))
    else:
        listener.forward(f"127.0.0.1:{port}")
    return listener


def http(session, name="COMPAT_NAME"):
    return session.http_endpoint().domain(ENV[name])


def read(variable):
    with open(ENV[variable], "rb") as file:
        return file.read()


def headers(builder):
    builder.request_header("X-Compat-Added", "yes").remove_request_header("X-Compat-Secret")
    return builder.response_header("X-Compat-Answer", "yes").remove_response_header("X-Upstream")


OPTIONS = {
    "basic-auth": lambda b: b.basic_auth("compat", "correct-horse"),
    "compression": lambda b: b.compression(),
    "headers": headers,
    "ip-allow": lambda b: b.allow_cidr("127.0.0.0/8"),
    "ip-deny": lambda b: b.deny_cidr("127.0.0.0/8"),
    "circuit-breaker": lambda b: b.circuit_breaker(0.1),
    "webhook": lambda b: b.webhook_verification("github", "compat-secret"),
    "user-agent": lambda b: call(b, "deny_user_agent", "compat-bot.*"),
    "websocket-tcp": lambda b: b.websocket_tcp_conversion(),
    "mutual-tls": lambda b: b.mutual_tlsca(bytearray(read("COMPAT_CLIENT_CA"))),
    "oauth": lambda b: b.oauth("google"),
    "oidc": lambda b: b.oidc("https://issuer.example", "id", "secret"),
    "pooling": lambda b: call(b, "pooling_enabled", True),
    "policy": lambda b: call(b, "traffic_policy", ENV["COMPAT_POLICY"]),
    "metadata": lambda b: b.metadata("compat-endpoint").forwards_to("compat-upstream"),
}


async def run(session):
    """The listeners of the scenario."""
    if SCENARIO == "http-random":
        return [await bind(session.http_endpoint(), UPSTREAM)]
    if SCENARIO == "http-plain":
        return [await bind(http(session).scheme("http"), UPSTREAM)]
    if SCENARIO == "http-named":
        return [await bind(http(session), UPSTREAM)]
    if SCENARIO == "two-endpoints":
        return [await bind(http(session), UPSTREAM), await bind(http(session, "COMPAT_NAME_2"), UPSTREAM)]
    if SCENARIO == "tcp":
        return [await bind(session.tcp_endpoint(), int(ENV["COMPAT_TCP_PORT"]))]
    if SCENARIO in ("proxy-proto-1", "proxy-proto-2"):
        builder = session.tcp_endpoint().proxy_proto(SCENARIO[-1])
        return [await bind(builder, int(ENV["COMPAT_TCP_PORT"]))]
    if SCENARIO == "tls":
        return [await bind(session.tls_endpoint().domain(ENV["COMPAT_NAME"]), int(ENV["COMPAT_TLS_PORT"]))]
    if SCENARIO == "tls-edge":
        builder = session.tls_endpoint().domain(ENV["COMPAT_NAME"])
        builder.termination(bytearray(read("COMPAT_CERT")), bytearray(read("COMPAT_KEY")))
        return [await bind(builder, UPSTREAM)]
    if SCENARIO == "labels":
        builder = call(session, "labeled_listener labeled_tunnel").label("edge", "compat")
        return [await bind(builder, UPSTREAM)]
    if SCENARIO in OPTIONS:
        return [await bind(OPTIONS[SCENARIO](http(session)), UPSTREAM)]
    raise Unsupported(SCENARIO)


def attribute(listener, name):
    value = getattr(listener, name, None)
    return value() if callable(value) else value


def report(error):
    """The SDK raises ValueError(words, text, code); older versions leave the code in the text."""
    texts = [str(part) for part in error.args]
    code = next((part for part in texts if part.startswith("ERR_")), "")
    say("error", code=code, text="\n".join(texts))


async def main():
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    try:
        session = await connect()
        sessions = await idle()
        say("connected", sessions=1 + len(sessions))
        listeners = await run(session)
    except Unsupported as missing:
        say("unsupported", text=str(missing))
        return
    except Exception as error:  # the SDK's errors have no type of their own
        report(error)
        return
    for listener in listeners:
        fields = {name: attribute(listener, name) for name in ("url", "id", "metadata", "forwards_to")}
        say("bound", **fields)
    while line := await lines.readline():
        if line.strip() == b"close":
            await listeners[0].close()
            say("closed", what="endpoint")
    for listener in listeners:
        await listener.close()
    for each in (session, *sessions):
        await each.close()
    say("closed", what="session")


asyncio.run(main())
# Threads of the SDK that still run make an ordinary end of the interpreter crash.
os._exit(0)
