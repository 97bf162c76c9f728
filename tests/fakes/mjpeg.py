"""A camera that speaks MJPEG over HTTP, with Basic authentication if asked for."""

import base64
import contextlib
import http.server
import threading

import cv2
import numpy as np

BOUNDARY = "frame"


@contextlib.contextmanager
def mjpeg_camera(*, log_in=None, size=(128, 96), page=False):
    """Serve grey pictures that change, or a web page; yields the address."""
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if log_in and self.headers.get("Authorization") != _basic(log_in):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            if page:
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<html><body>Please log in</body></html>" * 100)
                return
            kind = f"multipart/x-mixed-replace;boundary={BOUNDARY}"
            self.send_header("Content-Type", kind)
            self.end_headers()
            with contextlib.suppress(OSError):
                self._play()

        def _play(self):
            number = 0
            while not stop.wait(0.05):
                picture = np.full((size[1], size[0], 3), 40 + number % 100, np.uint8)
                jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                head += f"Content-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                number += 1

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/video.mjpg"
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _basic(log_in):
    return "Basic " + base64.b64encode(":".join(log_in).encode()).decode()
