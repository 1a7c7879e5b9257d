"""OpenSSH as a program of the compat suite (compat/README.md describes the protocol).

It runs `ssh -R … v2+AUTHTOKEN@HOST COMMAND` and reads the forwarding URL from what the server prints.
"""

import json
import os
import re
import subprocess
import sys
import threading

ENV = os.environ
SCENARIO = sys.argv[1]


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def remote():
    """What -R names, each with its local port; and the command."""
    name, second, http, tcp, tls = (
        ENV[f"COMPAT_{key}"] for key in ("NAME", "NAME_2", "UPSTREAM_PORT", "TCP_PORT", "TLS_PORT")
    )
    named = [(f"{name}:443", http)]
    return {
        "http-random": ([("443", http)], ["http"]),
        "http-named": (named, ["http"]),
        "http-plain": ([(f"{name}:80", http)], ["http"]),
        "two-endpoints": ([*named, (f"{second}:443", http)], ["http"]),
        "tcp": ([("0", tcp)], ["tcp"]),
        "proxy-proto-1": ([("0", tcp)], ["tcp", "--proxy-proto", "1"]),
        "proxy-proto-2": ([("0", tcp)], ["tcp", "--proxy-proto", "2"]),
        "tls": ([(f"{name}:443", tls)], ["tls"]),
        # The server takes its words apart as a shell does, after the shell of the user has.
        "basic-auth": (named, ["http", "--basic-auth", "'compat:correct-horse'"]),
        "headers": (
            named,
            ["http", "--request-header-add", "'X-Compat-Added: yes'", "--request-header-remove", "X-Compat-Secret"]
            + ["--response-header-add", "'X-Compat-Answer: yes'", "--response-header-remove", "X-Upstream"],
        ),
        "oauth": (named, ["http", "--oauth=google"]),
    }.get(SCENARIO)


def main():
    wanted = remote()
    if wanted is None:
        say("unsupported", text=SCENARIO)
        return
    forwards, command = wanted
    host, _, ssh_port = ENV["COMPAT_SSH_ADDR"].rpartition(":")
    token = ENV["COMPAT_AUTHTOKEN"]
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes"]
    options += ["IdentityFile=none"]
    ssh = ["ssh", "-F", "none", "-p", ssh_port]
    for bind, port in forwards:
        ssh += ["-R", f"{bind}:127.0.0.1:{port}"]
    for option in options:
        ssh += ["-o", option]
    ssh += ["-l", f"v2+{token}" if token else "v2", host, *command]
    connection = Connection(ssh)
    threading.Thread(target=connection.obey, daemon=True).start()
    heard = connection.run()
    # OpenSSH does not connect again by itself; whoever wants it to runs it in a loop.
    while connection.bound and not connection.over.wait(1):
        connection.run()
    if connection.bound:
        connection.quitting.wait()
        say("closed", what="session")
    else:
        # The last one: before it may stand why an earlier login failed.
        codes = re.findall(r"ERR_(?:NGROK|PORTWAY)_\d+", heard)
        say("error", code=codes[-1] if codes else "", text=heard)


class Connection:
    """`ssh`, run as often as it takes."""

    def __init__(self, command):
        self.command, self.child, self.bound = command, None, False
        # Closed, and to be ended.
        self.over, self.quitting = threading.Event(), threading.Event()

    def run(self):
        """Runs it until it ends, and returns what it said."""
        self.child = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if self.over.is_set():
            self.child.terminate()
        heard = ""
        for line in self.child.stdout:
            heard += line
            if found := re.match(r"Forwarding\s+(\S+)", line):
                self.bound = True
                say("bound", url=found[1], metadata=None, forwards_to=None)
        self.child.wait()
        return heard

    def obey(self):
        """Does what standard input says."""
        for line in sys.stdin:
            if line.strip() == "close":
                # A connection has one endpoint: it is closed by ending.
                self.over.set()
                self.child.terminate()
                say("closed", what="endpoint")
        self.over.set()
        self.quitting.set()
        if self.child:
            self.child.terminate()


main()
# The thread that reads standard input may still wait for it.
os._exit(0)
