# Part of Inkstone. Licence: see LICENSE.
"""A server of its own for the page's tests, on free ports and in a folder that goes with it."""

import json
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from browser import TIMEOUT_FACTOR

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, program, *options):
        self.program, self.options = str(program), options
        self.folder = tempfile.TemporaryDirectory(prefix="inkstone-page-", ignore_cleanup_errors=True)
        self.data = pathlib.Path(self.folder.name, "data")
        self.api, self.port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.key = None
        self.process = None

    def start(self, waits=True):
        self.process = subprocess.Popen(
            [self.program, "serve", "--port", str(self.api), "--page-port", str(self.port), "--data",
             str(self.data), *self.options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            cwd=ROOT)
        for line in self.process.stdout:
            if ("loaded" if waits else "API ") in line:
                return self
        raise SystemExit("the server does not start")

    def kill(self):
        """As in a crash: clients are not notified, requests are not finished."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self.folder.cleanup()

    def ask(self, path, body=None, method=None, raw=False):
        headers = {"content-type": "application/json"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode() if body is not None else None, headers, method=method)
        answer = urllib.request.urlopen(request, timeout=120 * TIMEOUT_FACTOR).read()
        return answer if raw else json.loads(answer)

    def finish(self, body):
        """A job to its end."""
        job = self.ask("api/jobs", body)
        while job["state"] in ("queued", "running"):
            time.sleep(0.02)
            job = self.ask(f"api/jobs/{job['id']}")
        return job
