"""Greets whoever the body names: { "name": "Ada" }. Format http-stream, written to the contract, nothing installed.

It needs a python3 on the PATH of where it runs, which the base runtime has not.
"""

import json
import os
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer


class Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_POST(self):
        body = self.read_body()
        name = json.loads(body).get("name", "world") if body else "world"
        self.answer(json.dumps({"message": f"Hello, {name}!"}).encode())

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_):
        pass  # a unix socket has no address to log


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


path = os.environ["FN_LISTENER"].removeprefix("unix:")
with Server(path + ".tmp", Call) as server:
    os.chmod(path + ".tmp", 0o666)
    os.rename(path + ".tmp", path)  # last: its name says that the function is ready
    server.serve_forever()
