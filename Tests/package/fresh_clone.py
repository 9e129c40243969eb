#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Runs `make serve` and `make fleet` of the README in a fresh clone in a bare root, which has nothing but what Swift itself
needs: missing packages are installed, the programs are built, and an image is generated over HTTP. As root, with Swift in PATH.

    fresh_clone.py [--suite bookworm] [--only serve,fleet] [--folder FOLDER]

Each of the two takes as long as a first build; FOLDER keeps the clone with its builds. INKSTONE_ROOTS is where bare roots are kept.
"""

import argparse
import base64
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from bare_root import REPOSITORY, BareRoot, Server, Stopwatch, program_below
from running_server import Checks

# What Swift's installation needs of a distribution, beside make and git, with which the clone was made.
NEEDED = ["binutils", "g++", "libcurl4", "libedit2", "libncurses6", "libxml2",
          "libsqlite3-0", "zlib1g", "tzdata", "ca-certificates", "make", "git"]
CLONE = "/inkstone"
# A place where this machine's certificates are files, for networks that have certificates of their own.
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def section_build():
    """The README's section Build, and the address of the page that it names."""
    text = (REPOSITORY / "README.md").read_text().split("\n## Build\n")[1].split("\n## ")[0]
    return text, re.search(r"make serve +# .* (http://\S+)", text).group(1)


def prepare(root, place):
    swift = pathlib.Path(shutil.which("swift")).resolve().parents[1]
    root.mounts[str(swift)] = swift
    # What SwiftPM has fetched before, for networks that do not reach GitHub.
    cache = pathlib.Path.home() / ".cache/org.swift.swiftpm"
    if cache.is_dir():
        root.mounts["/root/.cache/org.swift.swiftpm"] = cache
    clone = place / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", "--no-local", REPOSITORY, clone], check=True)
    root.mounts[CLONE] = clone
    root.run("apt-get", "update", "-qq")
    root.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *NEEDED)
    if os.path.exists(CERTIFICATES):
        shutil.copyfile(CERTIFICATES, root.path / CERTIFICATES[1:])
    return {"PATH": f"{swift}/bin:/usr/local/bin:/usr/bin:/bin", "GIT_SSL_CAINFO": CERTIFICATES, "SSL_CERT_FILE": CERTIFICATES}


def make(root, environment, *words, own_network=False):
    return root.command("make", "-C", CLONE, *words, environment=environment, own_network=own_network)


def is_picture(text):
    return base64.b64decode(text).startswith(b"\x89PNG")


def serve(check, root, environment, page):
    watch = Stopwatch()
    with Server(make(root, environment, "serve", "SERVE_FLAGS=--port 0 --page-port 0")) as server:
        check("'make serve' installs, builds, and gives a picture over HTTP", is_picture(server.picture()), str(watch))
        check("SIGTERM ends it with status 0", server.stop())
    watch = Stopwatch()
    with Server(make(root, environment, "serve", own_network=True)) as server:
        check(f"the next 'make serve' has the page on {page}", b"<html" in server.page_inside(page + "/"), str(watch))
        check("SIGTERM ends it with status 0", server.stop())


class Fleet(Server):
    """`make fleet`, until it says that it runs."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        text = ""
        for line in self.process.stdout:
            text += line
            if line.startswith("Jobs, images and logs"):
                self.base = re.search(r"API (http://127\.0\.0\.1:\d+)", text).group(1)
                return
        sys.exit(f"make fleet did not start: {text[-4000:]}")

    def stop(self):
        os.kill(program_below(self.process.pid, "try-fleet"), signal.SIGTERM)
        return self.process.wait(60) == 0


def fleet(check, root, environment):
    watch = Stopwatch()
    with Fleet(make(root, environment, "fleet", "FLEET_FLAGS=--port 0 --page-port 0")) as started:
        check("'make fleet' installs, builds, and gives a picture through gateway, queue and worker",
              is_picture(started.picture()), str(watch))
        check("SIGTERM ends it with status 0", started.stop())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--only", default="serve,fleet", help="parts, with commas between them")
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("fresh_clone.py needs root")
    made = subprocess.run([HERE / "make-root", options.suite], stdout=subprocess.PIPE, text=True)
    if made.returncode == 77:
        print(f"LEFT OUT: {options.suite} is not reachable")
        return
    if made.returncode != 0:
        sys.exit(f"make-root {options.suite} failed")
    check = Checks()
    text, page = section_build()
    with BareRoot(made.stdout.strip()) as root, tempfile.TemporaryDirectory(prefix="inkstone-clone-") as place:
        environment = prepare(root, (options.folder or pathlib.Path(place)).resolve())
        check("the root has no library of the build before", not (root.path / "usr/include/spng.h").exists())
        for part in options.only.split(","):
            check(f"the README has 'make {part}'", f"make {part}" in text)
            {"serve": lambda: serve(check, root, environment, page), "fleet": lambda: fleet(check, root, environment)}[part]()
    check.end()


if __name__ == "__main__":
    main()
