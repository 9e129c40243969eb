# Part of Inkstone. Licence: see LICENSE.
"""Copies of bare roots of distributions, and a server in one of them; for the scripts beside. Needs root."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PACKAGES = pathlib.Path(os.environ.get("PACKAGES", REPOSITORY / ".build/packages"))
# A number that no distribution has given away.
USER = 1234

# Enters a root: its own mounts and process numbers, and the network of this machine or one of its own.
ENTER = """
mount --make-rprivate /
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
for mounted in $MOUNTS; do
    mkdir -p "$0${mounted#*:}"
    mount --bind "${mounted%%:*}" "$0${mounted#*:}"
done
[ "$NETWORK" != own ] || ip link set lo up
exec chroot "$@"
"""

# What package managers write, beside the files of packages.
STATE = re.compile(
    r"/(var/(lib/(dpkg|apt|pam|systemd)|cache|log)|tmp|run|etc/(ld\.so\.cache|\.pwd\.lock|[a-z]+-)|etc/ssl/certs"
    r"|etc/ca-certificates.*|usr/local/share/ca-certificates|usr/share/info|etc/alternatives"
    r"|etc/rc[0-9S]\.d|etc/mtab|etc/subuid|etc/subgid)(/|$)")


def only(pattern):
    """The one file among the packages that matches."""
    found = sorted(PACKAGES.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{PACKAGES}/{pattern} is not one file, but {len(found)}: run make package first")
    return found[0]


class BareRoot:
    """A copy of a bare root, which is removed at the end."""

    def __init__(self, root):
        self.holder = tempfile.TemporaryDirectory(prefix="inkstone-root-")
        self.path = pathlib.Path(self.holder.name) / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", root, self.path], check=True)
        for name in ["resolv.conf", "hosts"]:
            shutil.copyfile(f"/etc/{name}", self.path / "etc" / name)
        # An ordinary user with a home, and packages that start no services.
        with open(self.path / "etc/passwd", "a", encoding="utf-8") as users:
            users.write(f"someone:x:{USER}:{USER}::/home/someone:/bin/sh\n")
        (self.path / "home/someone").mkdir(parents=True)
        os.chown(self.path / "home/someone", USER, USER)
        # Folders of this machine, by the place that they have inside.
        self.mounts = {}
        self.before = self.files()

    def command(self, *arguments, user=0, environment=None, own_network=False):
        """The command line that runs a program inside; in a network of its own all ports are free."""
        options = [f"--userspec={user}:{user}"] if user else []
        home = "/home/someone" if user == USER else "/root"
        settings = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME": home, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        settings |= environment or {}
        network = ["--net"] if own_network else []
        mounts = " ".join(f"{source}:{place}" for place, source in self.mounts.items())
        return ["env", f"NETWORK={'own' if own_network else ''}", f"MOUNTS={mounts}",
                "unshare", *network, "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", ENTER,
                str(self.path), *options, str(self.path), "/usr/bin/env", "-i",
                *(f"{name}={value}" for name, value in settings.items()), *map(str, arguments)]

    def run(self, *arguments, user=0, check=True, environment=None):
        """Runs a command inside; returns its status and what it printed."""
        result = subprocess.run(
            self.command(*arguments, user=user, environment=environment),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if check and result.returncode != 0:
            sys.exit(f"{' '.join(map(str, arguments))}: status {result.returncode}\n{result.stdout}")
        return result.returncode, result.stdout

    def files(self):
        """Every path with its kind, mode, owner and contents."""
        found = {}
        for folder, folders, names in os.walk(self.path):
            inside = pathlib.Path("/") / pathlib.Path(folder).relative_to(self.path)
            if str(inside) in ("/proc", "/dev", "/sys"):
                folders.clear()
                continue
            for name in folders + names:
                path = pathlib.Path(folder) / name
                status = path.lstat()
                contents = ""
                if stat.S_ISREG(status.st_mode):
                    contents = hashlib.sha256(path.read_bytes()).hexdigest()
                elif stat.S_ISLNK(status.st_mode):
                    contents = os.readlink(path)
                found[str(inside / name)] = (status.st_mode, status.st_uid, status.st_gid, contents)
        return found

    def left_over(self, *data):
        """Paths that differ from the bare root, except those of other packages, state of package managers, and
        what begins with `data`."""
        after = self.files()
        changed = {path for path in after.keys() | self.before.keys()
                   if after.get(path) != self.before.get(path)}
        owned = set()
        for listing in (self.path / "var/lib/dpkg/info").glob("*.list"):
            if listing.name != "inkstone.list":
                owned |= set(listing.read_text().splitlines())
        # Where /lib is a link to /usr/lib, packages may list either.
        owned |= {"/usr" + path for path in owned if not path.startswith("/usr")}
        return sorted(path for path in changed
                      if path not in owned and not STATE.match(path) and not path.startswith(data or "\0"))

    def close(self):
        self.holder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Queue:
    """nats-server with JetStream on a free port of this machine, whose network bare roots and containers share."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="inkstone-queue-")
        self.process = subprocess.Popen(
            [self.program(), "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", f"{self.folder.name}/store",
             "--ports_file_dir", self.folder.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not (files := list(pathlib.Path(self.folder.name).glob("*.ports"))):
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit("nats-server did not start")
            time.sleep(0.05)
        self.address = json.loads(files[0].read_text())["nats"][0]

    @staticmethod
    def program():
        """The server's file, or none where it is not installed."""
        return shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class Server:
    """`inkstone serve` by some command, until its model is loaded; as a gateway of a fleet, until it listens."""

    def __init__(self, command, is_gateway=False):
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.base = None
        for line in self.process.stdout:
            if match := re.search(r"API +http://[^/]*:(\d+)/v1/images/generations", line):
                self.base = f"http://127.0.0.1:{match.group(1)}"
            if "loaded in" in line or (is_gateway and self.base):
                return
        self.errors.seek(0)
        sys.exit(f"the server did not start: {self.errors.read()}")

    def picture(self):
        """A PNG file, over HTTP."""
        body = json.dumps({"prompt": "a panda on a yellow background", "seed": 7, "response_format": "b64_json"})
        request = urllib.request.Request(
            self.base + "/v1/images/generations", body.encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)["data"][0]["b64_json"]

    def wait_until_ready(self, seconds=60):
        """A gateway of a fleet is ready when it has a worker."""
        end = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(self.base + "/readyz", timeout=10):
                    return
            except OSError:
                if time.monotonic() > end:
                    sys.exit("the fleet was not ready in time")
                time.sleep(0.1)

    def page_inside(self, address):
        """The page at an address of the program's own network; empty if nothing answers."""
        return subprocess.run(["nsenter", "--target", str(self.program()), "--net", "curl", "-sf", address],
                              stdout=subprocess.PIPE).stdout

    def program(self):
        """Process id of the program itself, below unshare, sh and the like."""
        return program_below(self.process.pid)

    def stop(self):
        """Ends it as a service manager does; returns whether it ended well."""
        os.kill(self.program(), signal.SIGTERM)
        return self.process.wait(60) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def program_below(pid, name="inkstone"):
    """Process id of a program, or of a script, that a process has started through others."""
    def is_it():
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return name in [word.rsplit("/", 1)[-1] for word in [os.readlink(f"/proc/{pid}/exe"), *words[1:2]]]

    while not is_it():
        pid = int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return pid


def fleet_picture(gateway, worker):
    """A picture through a fleet of a gateway and a worker: commands to which the queue's options are added. Also
    returns whether SIGTERM ended both with status 0. None where nats-server is not installed."""
    if not Queue.program():
        print("LEFT OUT: nats-server is not installed")
        return None
    with Queue() as queue, Server(gateway(queue.address), is_gateway=True) as server:
        process = subprocess.Popen(worker(queue.address), stdout=subprocess.PIPE, text=True)
        try:
            for line in process.stdout:
                if "serves model" in line:
                    break
            server.wait_until_ready()
            picture = server.picture()
            os.kill(program_below(process.pid), signal.SIGTERM)
            return picture, process.wait(60) == 0 and server.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self):
        self.start = time.monotonic()

    def __str__(self):
        return f"{time.monotonic() - self.start:.2f} s"
