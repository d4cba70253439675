"""The code of web-server.ts: one function makes the server listen, and does not end."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"you asked for {self.path}\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> None:
    ThreadingHTTPServer(("127.0.0.1", 8000), Site).serve_forever()
