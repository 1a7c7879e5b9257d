// The ngrok SDK for Node.js as a program of the compat suite (compat/README.md describes the protocol).
"use strict";

const fs = require("node:fs");
const readline = require("node:readline");
const ngrok = require("@ngrok/ngrok");

const env = process.env;
const scenario = process.argv[2];
const upstream = env.COMPAT_UPSTREAM_PORT;

class Unsupported extends Error {}

function say(event, fields = {}) {
  fs.writeSync(1, JSON.stringify({ event, ...fields }) + "\n");
}

// The first of the methods that this version has.
function call(object, names, ...values) {
  const name = names.find((name) => typeof object[name] === "function");
  if (!name) throw new Unsupported(names.join(" "));
  return object[name](...values);
}

function connect() {
  const Builder = ngrok.SessionBuilder ?? ngrok.NgrokSessionBuilder;
  const builder = new Builder().serverAddr(env.COMPAT_CONNECT_ADDR).metadata("compat-session");
  if (builder.rootCas) builder.rootCas(env.COMPAT_CA);
  else builder.caCert(fs.readFileSync(env.COMPAT_CA));
  return builder.authtoken(env.COMPAT_AUTHTOKEN).connect();
}

// Sessions that do nothing, beside the first.
async function idle() {
  const sessions = [];
  for (let count = 1; count < Number(env.COMPAT_SESSIONS ?? 1); count++) sessions.push(await connect());
  return sessions;
}

// Binds, and forwards connections to a port of this machine.
async function bind(builder, port) {
  // It sets what forwardsTo said to the address, which the scenario "metadata" wants to read back.
  if (builder.listenAndForward && scenario !== "metadata") {
    const scheme = builder.constructor.name.startsWith("Http") ? "http" : "tcp";
    return builder.listenAndForward(`${scheme}://127.0.0.1:${port}`);
  }
  const listener = await builder.listen();
  const address = `127.0.0.1:${port}`;
  call(listener, ["forwardTcp", "forward"], address).catch(() => {});
  return listener;
}

function http(session, name = "COMPAT_NAME") {
  return session.httpEndpoint().domain(env[name]);
}

const options = {
  "basic-auth": (b) => b.basicAuth("compat", "correct-horse"),
  compression: (b) => b.compression(),
  headers: (b) =>
    b
      .requestHeader("X-Compat-Added", "yes")
      .removeRequestHeader("X-Compat-Secret")
      .responseHeader("X-Compat-Answer", "yes")
      .removeResponseHeader("X-Upstream"),
  "ip-allow": (b) => b.allowCidr("127.0.0.0/8"),
  "ip-deny": (b) => b.denyCidr("127.0.0.0/8"),
  "circuit-breaker": (b) => b.circuitBreaker(0.1),
  webhook: (b) => b.webhookVerification("github", "compat-secret"),
  "user-agent": (b) => call(b, ["denyUserAgent"], "compat-bot.*"),
  "websocket-tcp": (b) => b.websocketTcpConversion(),
  "mutual-tls": (b) => b.mutualTlsca(fs.readFileSync(env.COMPAT_CLIENT_CA)),
  oauth: (b) => b.oauth("google"),
  oidc: (b) => b.oidc("https://issuer.example", "id", "secret"),
  pooling: (b) => call(b, ["poolingEnabled"], true),
  policy: (b) => call(b, ["trafficPolicy"], env.COMPAT_POLICY),
  metadata: (b) => b.metadata("compat-endpoint").forwardsTo("compat-upstream"),
};

// The listeners of the scenario.
async function run(session) {
  switch (scenario) {
    case "http-random":
      return [await bind(session.httpEndpoint(), upstream)];
    case "http-plain":
      return [await bind(http(session).scheme("http"), upstream)];
    case "http-named":
      return [await bind(http(session), upstream)];
    case "two-endpoints":
      return [await bind(http(session), upstream), await bind(http(session, "COMPAT_NAME_2"), upstream)];
    case "tcp":
      return [await bind(session.tcpEndpoint(), env.COMPAT_TCP_PORT)];
    case "proxy-proto-1":
    case "proxy-proto-2":
      return [await bind(session.tcpEndpoint().proxyProto(scenario.slice(-1)), env.COMPAT_TCP_PORT)];
    case "tls":
      return [await bind(session.tlsEndpoint().domain(env.COMPAT_NAME), env.COMPAT_TLS_PORT)];
    case "tls-edge": {
      const builder = session.tlsEndpoint().domain(env.COMPAT_NAME);
      builder.termination(fs.readFileSync(env.COMPAT_CERT), fs.readFileSync(env.COMPAT_KEY));
      return [await bind(builder, upstream)];
    }
    case "labels":
      return [await bind(call(session, ["labeledListener", "labeledTunnel"]).label("edge", "compat"), upstream)];
    default:
      if (!options[scenario]) throw new Unsupported(scenario);
      return [await bind(options[scenario](http(session)), upstream)];
  }
}

async function main() {
  // Lines are collected from the start, so that an early end of the input is not missed.
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  let session, sessions, listeners;
  try {
    session = await connect();
    sessions = await idle();
    say("connected", { sessions: 1 + sessions.length });
    listeners = await run(session);
  } catch (error) {
    if (error instanceof Unsupported) say("unsupported", { text: error.message });
    // Newer versions have the code as a property, older ones in the text only.
    else say("error", { code: error.errorCode ?? "", text: error.message });
    process.exit(0);
  }
  for (const listener of listeners) {
    const url = listener.url ? listener.url() : null;
    say("bound", { url, id: listener.id(), metadata: listener.metadata(), forwards_to: listener.forwardsTo() });
  }
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    if (line.value.trim() === "close") {
      await listeners[0].close();
      say("closed", { what: "endpoint" });
    }
  }
  for (const listener of listeners) await listener.close();
  for (const each of [session, ...sessions]) await each.close();
  say("closed", { what: "session" });
  process.exit(0);
}

main();
