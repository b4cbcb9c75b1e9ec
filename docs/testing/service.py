"""A small HTTP service and its client, each once with care and once with the faults that services really have."""

import http.client
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGEST = 10_000  # bytes of an upload


class Careless(BaseHTTPRequestHandler):
    """Writes header and body apart, without TCP_NODELAY; refuses a large upload without reading it."""

    protocol_version = "HTTP/1.1"
    timeout = 0.3  # seconds after which an idle connection is closed

    def do_GET(self):
        self.answer(200, b"x" * 200)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        if length > LARGEST:
            self.close_connection = True
            self.answer(413, b"too large\n")
        else:
            self.answer(200, b"%d bytes\n" % len(self.rfile.read(length)))

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()  # one write
        self.wfile.write(body)  # and another, which waits until the client has acknowledged the first

    def log_message(self, *arguments):
        pass


class Careful(Careless):
    """Writes each answer at once; reads what the client sends, also what it does not want."""

    wbufsize = -1  # buffered: header and body leave together
    disable_nagle_algorithm = True

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        self.answer(413 if length > LARGEST else 200, b"%d bytes\n" % len(body))


@contextmanager
def serving(handler):
    """The port of the service, for as long as the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Client:
    """Keeps its connection for the next request.  careful: gives it back when the server has closed it."""

    def __init__(self, port, careful):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        self.careful = careful

    def get(self, path="/"):
        self.connection.request("GET", path)
        return self.connection.getresponse().read()

    def upload(self, data):
        try:
            self.connection.request("POST", "/", body=data)
            return self.connection.getresponse().status
        except ConnectionError:  # reset: the answer may be lost
            return None

    def idle(self):
        """Called now and then by the program while it has nothing to ask."""
        if self.careful and self.connection.sock is not None:
            self.connection.sock.setblocking(False)
            try:
                if self.connection.sock.recv(1, socket.MSG_PEEK) == b"":
                    self.connection.close()
            except BlockingIOError:
                self.connection.sock.settimeout(5)

    def close(self):
        self.connection.close()
