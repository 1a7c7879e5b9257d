"""A visitor that speaks WebSocket: sends one binary message and prints what comes back.

websocket.py HOST PORT NAME CA PATH MESSAGE
"""

import base64
import os
import socket
import ssl
import struct
import sys


def main(host, port, name, ca, path, message):
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection((host, int(port)), timeout=30) as raw, context.wrap_socket(raw, server_hostname=name) as tls:
        stream = tls.makefile("rwb")
        key = base64.b64encode(os.urandom(16)).decode()
        stream.write(
            f"GET {path} HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        stream.flush()
        status = stream.readline().decode().strip()
        while stream.readline().strip():
            pass
        if " 101 " not in f"{status} ":
            sys.exit(f"not upgraded: {status}")
        mask, data = os.urandom(4), message.encode()
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        stream.write(struct.pack("!BB", 0x82, 0x80 | len(data)) + mask + masked)
        stream.flush()
        came = b""
        while len(came) < len(data):
            opcode, length = stream.read(2)
            if opcode & 15 == 8:
                sys.exit(f"closed after {came!r}")
            part = stream.read(length & 127)
            if opcode & 15 in (0, 1, 2):
                came += part
        print(came.decode())


main(*sys.argv[1:])
