"""The services behind the endpoints of the compat suite: HTTP, HTTP over TLS, and TCP that echoes.

Prints one line of JSON with the ports.
"""

import base64
import hashlib
import http.server
import json
import os
import socketserver
import ssl
import sys
import threading

WEBSOCKET_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave together.
    wbufsize = -1

    def answer(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Upstream", "compat")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if path == "/echo":
            fields = {name.lower(): value for name, value in self.headers.items()}
            told = {"method": self.command, "path": self.path, "headers": fields, "body": body.decode()}
            self.answer(200, json.dumps(told).encode(), "application/json")
        elif path == "/text":
            self.answer(200, b"the same words again and again\n" * 2000)
        elif path == "/bytes":
            self.bulk(int(query))
        elif path == "/ws":
            self.websocket()
        elif path.startswith("/status/"):
            self.answer(int(path.rsplit("/", 1)[1]), b"as asked\n")
        else:
            self.answer(200, b"hello from the upstream\n")

    do_POST = do_PUT = do_GET

    def bulk(self, size):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        block = os.urandom(65536)
        while size > 0:
            size -= self.wfile.write(block[: min(size, len(block))])

    def websocket(self):
        key = self.headers.get("Sec-WebSocket-Key", "").encode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key + WEBSOCKET_KEY).digest()).decode())
        self.end_headers()
        self.wfile.flush()
        # One short masked frame comes, and goes back without a mask (RFC 6455 section 5.2).
        first, length = self.rfile.read(2)
        mask, data = self.rfile.read(4), self.rfile.read(length & 127)
        data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self.wfile.write(bytes([first, len(data)]) + data)
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_):
        pass


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


class Https(Http):
    context = None

    def finish_request(self, request, address):
        # The handshake is made here, in the thread of the connection.
        super().finish_request(self.context.wrap_socket(request, server_side=True), address)


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


def main(certificate, key):
    Https.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Https.context.load_cert_chain(certificate, key)
    here = ("127.0.0.1", 0)
    servers = {"http": Http(here, Handler), "tls": Https(here, Handler), "tcp": Tcp(here, Echo)}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({name: server.server_address[1] for name, server in servers.items()}), flush=True)
    threading.Event().wait()


main(*sys.argv[1:])
