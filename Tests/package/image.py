#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Checks the image of a container with skopeo and umoci, and runs it with crun: as its ordinary user, with a root that
cannot be written and data in a volume. As root; `make package` first. No Docker engine is needed.

    image.py
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from bare_root import REPOSITORY, Server, Stopwatch, fleet_picture, only
from running_server import Checks


def output(*command):
    result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}")
    return result.stdout


def without_control_groups(*command):
    """A command that sees none, since crun refuses their mixed mode: an empty folder hides them."""
    hide = "mount --make-rprivate / && mount -t tmpfs tmpfs /sys/fs/cgroup && exec \"$@\""
    return ["unshare", "--mount", "sh", "-c", hide, "sh", *map(str, command)]


def layers(check, layout):
    """What the layers contain."""
    def blob(descriptor):
        return layout / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")

    manifest = json.loads(blob(json.loads((layout / "index.json").read_text())["manifests"][0]).read_text())
    members = []
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer)) as file:
            members += file.getmembers()
    check("all files have one time", len({member.mtime for member in members}) == 1)
    names = {member.name.removeprefix("./") for member in members}
    check("there is no shell", not any(name.rsplit("/", 1)[-1] in ("sh", "bash", "dash") for name in names))
    check("certificates and licences are in it", "etc/ssl/certs/ca-certificates.crt" in names
          and "usr/share/doc/libc6/copyright" in names and "usr/local/share/doc/inkstone/licences/swift" in names)
    check("no file may change its user", not any(member.isfile() and member.mode & 0o6000 for member in members))
    size = sum(layer["size"] for layer in manifest["layers"])
    check("size", True, f"{size / 1e6:.1f} MB compressed")


def bundle(folder, layout, version, data):
    """Unpacks the image for crun; returns its configuration."""
    output("umoci", "unpack", "--image", f"{layout}:{version}", folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["root"]["readonly"] = True
    config["process"]["terminal"] = False
    config["process"]["args"] += ["--port", "0", "--page-port", "0"]
    # No rights beyond an ordinary user's, and the network of this machine.
    config["process"]["capabilities"] = {}
    config["process"]["noNewPrivileges"] = True
    linux = config["linux"]
    linux["namespaces"] = [one for one in linux["namespaces"] if one["type"] not in ("network", "cgroup")]
    linux.pop("resources", None)
    config["mounts"] = [one for one in config["mounts"]
                        if one["destination"] not in ("/sys", "/sys/fs/cgroup", "/data", "/tmp")]
    config["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(data), "options": ["rbind", "rw"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},
    ]
    path.write_text(json.dumps(config))
    return config


def run(check, folder, config, data):
    watch = Stopwatch()
    name = f"inkstone-test-{os.getpid()}"
    command = without_control_groups("crun", "--cgroup-manager=disabled", "run", "--bundle", folder, name)
    with Server(command) as server:
        picture = base64.b64decode(server.picture())
        check("from the start of the container to a picture over HTTP", picture.startswith(b"\x89PNG"), str(watch))
        process = pathlib.Path(f"/proc/{server.program()}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        user = config["process"]["user"]["uid"]
        check("it runs as an ordinary user", user == 10001 and status["Uid"].split() == [str(user)] * 4
              and int(status["CapEff"], 16) == 0, f"user {status['Uid'].split()[0]}")
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
        options = {mount[4]: mount[5].split(",") for mount in mounts}
        check("its root cannot be written, the volume can", "ro" in options["/"] and "rw" in options["/data"])
        check("data are in the volume", (data / "jobs/jobs.sqlite").is_file()
              and (data / "jobs/jobs.sqlite").stat().st_uid == user)
        check("SIGTERM ends it with status 0", server.stop())
    written = [path for path in (folder / "rootfs").rglob("*") if not path.is_symlink() and path.is_file()
               and path.stat().st_uid == user]
    check("nothing was written to the root", not written, " ".join(map(str, written[:3])))


def fleet(check, place, folder, config):
    """Two containers of the image, with the program named instead of its own command line, as Deploy/fleet does."""
    def command(name, *arguments):
        bundle = place / name
        bundle.mkdir()
        changed = json.loads(json.dumps(config))
        changed["root"]["path"] = str(folder / "rootfs")
        changed["process"]["args"] = ["/usr/local/bin/inkstone", *arguments]
        (bundle / "config.json").write_text(json.dumps(changed))
        return without_control_groups(
            "crun", "--cgroup-manager=disabled", "run", "--bundle", bundle, f"inkstone-{name}-{os.getpid()}")

    result = fleet_picture(
        lambda queue: command("gateway", "serve", "--queue", queue, "--port", "0", "--page-port", "0",
                              "--data", "/data/gateway"),
        lambda queue: command("worker", "worker", "--queue", queue, "--model", "emoji-nano"))
    if result:
        picture, ended = result
        check("a picture by a gateway, NATS and a worker", base64.b64decode(picture).startswith(b"\x89PNG"))
        check("SIGTERM ends both with status 0", ended)


def podman(check, place, image, version):
    """The commands of Deploy/README.md, with stores of their own, the network of this machine, and limits that a process
    without the right to raise them may set."""
    if not shutil.which("podman"):
        print("LEFT OUT: podman is not installed")
        return
    section = (REPOSITORY / "Deploy/README.md").read_text().split("## Container")[1].split("```")[1]
    load, start = [line.split() for line in section.splitlines() if line.startswith("podman ")]
    check("the documented file is the one that make package writes", load[-1] == f".build/packages/{image.name}")
    stores = ["--root", str(place / "root"), "--runroot", str(place / "run"), "--storage-driver", "vfs",
              "--cgroup-manager", "cgroupfs"]
    text = output("podman", *stores, *load[1:-1], image)
    check("podman load names it", f"localhost/inkstone:{version}" in text)
    while "-p" in start:
        at = start.index("-p")
        del start[at:at + 2]
    start[2:2] = ["--cgroups=disabled", "--network", "host", "--ulimit", "nofile=1024:1024",
                  "--ulimit", "nproc=1000:1000"]
    with Server(without_control_groups("podman", *stores, *start[1:], "--port", "0", "--page-port", "0")) as server:
        check("podman run gives a picture", base64.b64decode(server.picture()).startswith(b"\x89PNG"))
        name = output("podman", *stores, "ps", "-q").split()
        output("podman", *stores, "stop", *name)
        check("podman stop ends it with status 0", server.process.wait(60) == 0)
    check("data are in the volume", bool(list((place / "root/volumes/inkstone").rglob("jobs.sqlite"))))


def main():
    if os.geteuid() != 0:
        sys.exit("image.py needs root")
    missing = [program for program in ["skopeo", "umoci", "crun"] if not shutil.which(program)]
    if missing:
        print(f"LEFT OUT: not installed: {' '.join(missing)}")
        return
    check = Checks()
    image = only("*.oci.tar")
    # Below /run or /tmp, a folder that the image's user may pass.
    with tempfile.TemporaryDirectory(prefix="inkstone-image-") as place:
        place = pathlib.Path(place)
        place.chmod(0o755)
        layout, folder, data = place / "layout", place / "bundle", place / "data"
        found = json.loads(output("skopeo", "inspect", f"oci-archive:{image}"))
        version = found["Labels"]["org.opencontainers.image.version"]
        check("skopeo reads the image", found["Os"] == "linux" and len(found["Layers"]) == 2, version)
        output("skopeo", "copy", f"oci-archive:{image}", f"oci:{layout}:{version}")
        check("skopeo copies it, with all digests as listed", True)
        layers(check, layout)
        data.mkdir()
        os.chown(data, 10001, 10001)
        config = bundle(folder, layout, version, data)
        check("umoci unpacks it", (folder / "rootfs/usr/local/bin/inkstone").is_file())
        run(check, folder, config, data)
        fleet(check, place, folder, config)
        podman(check, place, image, version)
    check.end()


if __name__ == "__main__":
    main()
