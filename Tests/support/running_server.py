# Part of Inkstone. Licence: see LICENSE.
"""`inkstone serve` as a process of its own, on ports that the system chose; for the scripts beside."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".build/release/inkstone"
# Of servers that take longer than those that the times were chosen for, as on a software GPU.
TIMEOUT_FACTOR = float(os.environ.get("INKSTONE_TEST_TIMEOUT_FACTOR", 1))


class RunningServer:
    """Starts the program and waits until its models are loaded.

    `base` is the API's address, `port` its port, `data` the data folder, `log` the access log and
    `errors` the file with what the program says on standard error.
    """

    def __init__(self, program=PROGRAM, *arguments, data=None, port=0, environment=None):
        # A script that is ended, as by `timeout`, leaves its `with` statements, which end the server.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.folder = tempfile.TemporaryDirectory(prefix="inkstone-test-")
        place = pathlib.Path(self.folder.name)
        self.data = pathlib.Path(data) if data else place / "data"
        self.log, self.errors = place / "access.log", place / "errors"
        with open(self.errors, "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [str(program), "serve", "--port", str(port), "--page-port", "0",
                 "--data", str(self.data), "--access-log", str(self.log), *map(str, arguments)],
                stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT,
                env=os.environ | (environment or {}))
        for line in self.process.stdout:
            if match := re.search(r"API +(http://\S+:(\d+))/v1/images/generations", line):
                self.base, self.port = match.group(1), int(match.group(2))
            if "loaded in" in line:
                return
        sys.exit(f"the server did not start: {self.errors.read_text()}")

    def ask(self, path, body=None, method=None, **headers):
        """Status, headers and bytes of the answer to a request with a JSON body."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"content-type": "application/json"} | headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300 * TIMEOUT_FACTOR) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def metric(self, name, **labels):
        """Sum of a metric's samples that have these labels; 0 where there is none."""
        total = 0.0
        for line in self.ask("/metrics")[2].decode().splitlines():
            match = re.fullmatch(re.escape(name) + r"(\{.*\})? (\S+)", line)
            if match and all(f'{key}="{value}"' in (match.group(1) or "")
                             for key, value in labels.items()):
                total += float(match.group(2))
        return total

    def workers(self):
        """Process ids of the workers, without a child that still is a copy of the gateway as it starts."""
        path = f"/proc/{self.process.pid}/task"
        own = pathlib.Path(f"/proc/{self.process.pid}/cmdline").read_bytes()
        found = []
        for task in os.listdir(path):
            try:
                children = pathlib.Path(f"{path}/{task}/children").read_text().split()
            except FileNotFoundError:  # the thread has ended
                continue
            found += [int(child) for child in children]
        return sorted(child for child in found if self.command_line(child) not in (own, b""))

    @staticmethod
    def command_line(pid):
        """The arguments of a process, each with a zero byte behind it; nothing when it has ended."""
        try:
            return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return b""

    def memory(self):
        """Bytes of the gateway's and the workers' own pages."""
        total = 0
        for pid in [self.process.pid, *self.workers()]:
            try:
                text = pathlib.Path(f"/proc/{pid}/status").read_text()
            except FileNotFoundError:
                continue
            if match := re.search(r"RssAnon:\s+(\d+) kB", text):
                total += int(match.group(1)) * 1024
        return total

    def descriptors(self):
        """Open files of the gateway and the workers."""
        total = 0
        for pid in [self.process.pid, *self.workers()]:
            try:
                total += len(os.listdir(f"/proc/{pid}/fd"))
            except FileNotFoundError:
                continue
        return total

    def is_ready(self):
        try:
            return self.ask("/readyz")[0] == 200
        except OSError:
            return False

    def kill(self):
        """Ends gateway and workers at once, as a power cut would."""
        for pid in [self.process.pid, *self.workers()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Checks:
    """Counts and prints checks, one line each."""

    def __init__(self):
        self.failed = 0

    def __call__(self, name, is_right, note=""):
        self.failed += not is_right
        print(f"{'ok  ' if is_right else 'FAIL'} {name} {note}", flush=True)

    def end(self):
        sys.exit(1 if self.failed else 0)


def wait(what, is_true, seconds=60):
    """Waits until something is so, or ends the script."""
    end = time.monotonic() + seconds * TIMEOUT_FACTOR
    while not is_true():
        if time.monotonic() > end:
            sys.exit(f"waited too long for {what}")
        time.sleep(0.02)
