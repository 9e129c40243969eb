#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""`Scripts/try-fleet`: an image through the gateway, every way in which it ends, and that nothing is left then.

Needs nats-server and a program built with --traits Fleet: `make build-fleet`. Ports are free ones.

    Tests/fleet/try_fleet.py [--program FILE]
"""

import argparse
import base64
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from running_server import ROOT, Checks, wait  # noqa: E402

SCRIPT = ROOT / "Scripts/try-fleet"


def processes(mark):
    """Process ids whose environment has this mark, and their command lines."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or entry.name == str(os.getpid()):
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:  # it has ended, or belongs to another user
            continue
    # Without a command line it has ended, and waits to be reaped.
    return {pid: line for pid, line in found.items() if line}


class TriedFleet:
    """The script in a session of its own, as in a terminal, until it says that the fleet runs."""

    def __init__(self, place, program, *more):
        self.place = place
        self.mark = f"TRIED_FLEET={place}-{os.getpid()}"
        self.folder, self.temporary = place / "fleet", place / "tmp"
        self.temporary.mkdir(exist_ok=True)
        name, value = self.mark.split("=", 1)
        self.process = subprocess.Popen(
            [SCRIPT, "--program", program, "--folder", self.folder, "--port", "0", "--page-port", "0", *more],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env=os.environ | {name: value, "TMPDIR": str(self.temporary)})
        self.text = ""
        for line in self.process.stdout:
            self.text += line
            if line.startswith("Jobs, images and logs"):
                break

    def find(self, pattern):
        match = re.search(pattern, self.text)
        if not match:
            sys.exit(f"the fleet did not start, or does not say '{pattern}': {self.text}")
        return match.group(1)

    @property
    def api(self):
        return self.find(r"API (http://127\.0\.0\.1:\d+)")

    def pid(self, name):
        return int(self.find(rf"{name} .*\(.*process (\d+)\)"))

    def end(self):
        """Its exit status and everything that it printed; waits for its end."""
        self.text += self.process.communicate(timeout=120)[0]
        return self.process.returncode, self.text

    def left(self):
        """Processes, sockets and folders that are still there."""
        return [*processes(self.mark).values(), *(str(path) for path in self.temporary.rglob("*"))]

    def image(self):
        body = {"prompt": "a red apple", "seed": 5, "response_format": "b64_json"}
        request = urllib.request.Request(
            self.api + "/v1/images/generations", json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return base64.b64decode(json.load(answer)["data"][0]["b64_json"])

    def jobs(self):
        with urllib.request.urlopen(self.api + "/api/jobs", timeout=60) as answer:
            return [job["state"] for job in json.load(answer)["data"]]


def loopback_only(pids):
    """Whether all listening sockets of processes are bound to 127.0.0.1."""
    inodes = set()
    for pid in pids:
        for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor)):
                    inodes.add(match.group(1))
            except FileNotFoundError:
                continue
    rows = [line.split() for name in ("tcp", "tcp6")
            for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes]
    return len(listening) >= 3 and set(listening) == {"0100007F"}


def interrupted(check, place, program):
    fleet = TriedFleet(place, program)
    check("an image through the gateway", fleet.image().startswith(b"\x89PNG"))
    names = ["queue", "gateway", "worker"]
    check("all of it listens on 127.0.0.1 only", loopback_only([fleet.pid(name) for name in names]))
    other = subprocess.run([SCRIPT, "--program", program, "--folder", fleet.folder], capture_output=True, text=True)
    check("a second one in the same folder is refused", other.returncode == 75 and "in use" in other.stderr,
          other.stderr.strip())
    # As a terminal does: to all of its group.
    os.killpg(fleet.process.pid, signal.SIGINT)
    status, text = fleet.end()
    check("Ctrl-C ends it with status 0", status == 0 and "Stopping the fleet" in text, status)
    check("nothing is left", not fleet.left(), fleet.left())

    again = TriedFleet(place, program)
    check("the next one has its jobs", again.jobs() == ["succeeded"], again.jobs())
    again.process.terminate()
    check("SIGTERM ends it with status 0", again.end()[0] == 0)
    check("nothing is left", not again.left(), again.left())


def a_part_ends(check, place, program):
    """One program after the other is killed."""
    for name in ["worker", "gateway", "queue"]:
        fleet = TriedFleet(place, program)
        os.kill(fleet.pid(name), signal.SIGKILL)
        status, text = fleet.end()
        check(f"the end of the {name} is reported, with status 70",
              status == 70 and f"the {name} ended with status 137" in text, status)
        check("nothing is left", not fleet.left(), fleet.left())
    fleet = TriedFleet(place, program)
    fleet.process.kill()
    fleet.process.wait()
    fleet.process.stdout.close()
    wait("the programs of a script that was killed", lambda: not processes(fleet.mark))
    check("a script that is killed takes its programs along", True)


def refusals(check, place, program):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ["--port", "--queue-port"]:
            fleet = TriedFleet(place, program, option, str(port))
            status, text = fleet.end()
            check(f"{option} of another program is refused with status 75",
                  status == 75 and "taken" in text and str(port) in text, f"{status} {text.strip()}")
            check("nothing is left", not fleet.left(), fleet.left())
    for words, status, message in [
        (["--port", "many"], 64, "--port is a number from 0 to 65535; got 'many'"), (["--folder"], 64, "needs a value"),
        (["--quickly"], 64, "unknown option '--quickly'"), (["--program", place / "none"], 66, "make build-fleet"),
    ]:
        result = subprocess.run([SCRIPT, *words], capture_output=True, text=True)
        check(f"{' '.join(map(str, words))} is refused with status {status}",
              result.returncode == status and message in result.stderr, result.stderr.strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / ".build-fleet/release/inkstone")
    program = parser.parse_args().program.resolve()
    check = Checks()
    for part in [interrupted, a_part_ends, refusals]:
        with tempfile.TemporaryDirectory(prefix="tried-") as place:
            part(check, pathlib.Path(place), program)
    check.end()


if __name__ == "__main__":
    main()
