#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Installs the archive and the Debian package in bare roots of distributions, generates a picture over HTTP,
uninstalls, and shows that nothing but data is left. As root; `make package` first.

    packages.py [SUITE...]       bookworm, trixie, jammy and noble if none is given

INKSTONE_ROOTS is where bare roots are kept; a distribution whose mirror does not answer is left out, aloud.
"""

import base64
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from bare_root import REPOSITORY, USER, BareRoot, Server, Stopwatch, only
from running_server import Checks

NAMES = {"bookworm": "Debian 12", "trixie": "Debian 13", "jammy": "Ubuntu 22.04", "noble": "Ubuntu 24.04"}


def is_picture(text):
    data = base64.b64decode(text)
    return data.startswith(b"\x89PNG") and len(data) > 4000


def documented(name):
    """Commands of a README's first section, in order; as root, sudo is not needed, and bare roots have none."""
    text = (REPOSITORY / name).read_text()
    section = text.split("\n## ")[1]
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).splitlines()
    return [line.split(" #")[0].strip().removeprefix("sudo ") for line in lines if line.strip()]


# apt-get install ..., inkstone serve; tar ..., .../install.sh.
INSTALL_PACKAGE, SERVE, UNPACK, INSTALL_ARCHIVE = documented("README.md")


def unpack(root):
    """Unpacks the archive as the README says; returns its folder inside."""
    archive = only("inkstone-*.tar.gz")
    shutil.copyfile(archive, root.path / "opt" / archive.name)
    root.run("sh", "-c", f"cd /opt && {UNPACK}")
    os.remove(root.path / "opt" / archive.name)
    return f"/opt/{archive.name.removesuffix('.tar.gz')}"


def serve(*more):
    """The README's command, on ports that are free."""
    return [*SERVE.split(), "--port", "0", "--page-port", "0", *more]


def refusals(check, root, folder):
    """Damage, a missing library and a foreign folder are reported, and nothing is installed."""
    before = root.files()
    status, text = root.run(f"{folder}/install.sh", "--prefix", "/home/someone/local", user=USER, check=False)
    check("install.sh names missing libraries to an ordinary user",
          status != 0 and "apt-get install libcurl4 libssl3" in text, text.strip())
    status, text = root.run(f"{folder}/install.sh", "--quickly", check=False)
    check("an unknown option is refused", status != 0 and "unknown option --quickly" in text)
    model = root.path / folder[1:] / "share/inkstone/models/emoji-nano/inkstone.json"
    original = model.read_bytes()
    model.write_bytes(original + b" ")
    status, text = root.run(f"{folder}/install.sh", check=False)
    check("a damaged archive is refused", status != 0 and "damaged" in text and "inkstone.json" in text)
    model.write_bytes(original)
    status, text = root.run(f"{folder}/install.sh", "--uninstall", check=False)
    check("uninstalling what is not installed is refused", status != 0 and "nothing is installed" in text)
    check("nothing was installed", {path for path in root.files() if not path.startswith("/tmp")}
          == {path for path in before if not path.startswith("/tmp")})


def archive(check, bare):
    with BareRoot(bare) as root:
        folder = unpack(root)
        refusals(check, root, folder)
        watch = Stopwatch()
        text = root.run(f"{folder}/install.sh", "--service")[1]
        check("install.sh installs missing libraries and says so", "Installing them with apt-get" in text, str(watch))
        check("the service's user and files are there",
              "inkstone:" in (root.path / "etc/passwd").read_text()
              and (root.path / "etc/inkstone/inkstone.yaml").is_file())
        unit = root.path / "usr/local/lib/systemd/system/inkstone.service"
        check("the unit names the prefix", "ExecStart=/usr/local/bin/inkstone serve" in unit.read_text())
        root.run("/usr/local/share/inkstone/install.sh", "--uninstall")
        left = root.left_over(folder)
        check("uninstalled with the service: nothing is left", not left, " ".join(left[:5]))

        watch = Stopwatch()
        root.run("sh", "-c", f"cd /opt && {INSTALL_ARCHIVE}")
        with Server(root.command(*serve(), user=USER)) as server:
            picture = server.picture()
            check("from the unpacked archive to a picture over HTTP", is_picture(picture), str(watch))
            check("the page is served", b"<html" in server.page())
            check("SIGTERM ends it with status 0", server.stop())
        watch = Stopwatch()
        root.run("/usr/local/bin/inkstone", "--version")
        check("the start of the program", True, str(watch))
        programs(check, root, "/usr/local")
        root.run("/usr/local/share/inkstone/install.sh", "--uninstall")
        left = root.left_over(folder, "/home/someone")
        check("uninstalled: nothing is left but data", not left, " ".join(left[:5]))
        check("data are left", (root.path / "home/someone/.local/share/inkstone/data/jobs.sqlite").is_file())

        # Without root, in the home of a user.
        root.run(f"{folder}/install.sh", "--prefix", "/home/someone/local", user=USER)
        status, text = root.run("/home/someone/local/bin/inkstone", "models", "list", user=USER)
        check("installed by an ordinary user", "emoji-nano" in text)
        root.run("/home/someone/local/share/inkstone/install.sh", "--uninstall", user=USER)
        check("and uninstalled", not (root.path / "home/someone/local").exists())


def programs(check, root, prefix):
    """Manual pages and completions of both programs, and that the load tester starts."""
    share = root.path / prefix[1:] / "share"
    zsh = "vendor-completions" if prefix == "/usr" else "site-functions"
    for program in ["inkstone", "imgbench"]:
        files = [share / f"man/man1/{program}.1.gz", share / f"bash-completion/completions/{program}",
                 share / f"zsh/{zsh}/_{program}", share / f"fish/vendor_completions.d/{program}.fish"]
        missing = [str(path) for path in files if not path.is_file()]
        check(f"manual and completions of {program}", not missing, " ".join(missing))
        check(f"bash reads the completions of {program}",
              root.run("bash", "-n", f"{prefix}/share/bash-completion/completions/{program}", check=False)[0] == 0)
    check("imgbench starts", "imgbench" in root.run(f"{prefix}/bin/imgbench", "--help")[1])


def debian_package(check, bare):
    package = only("inkstone_*.deb")
    with BareRoot(bare) as root:
        shutil.copyfile(package, root.path / "tmp" / package.name)
        root.run("apt-get", "update", "-qq")
        watch = Stopwatch()
        # Questions cannot be answered here, and recommended packages would be left by its removal.
        options = {"APT_CONFIG": "/tmp/apt.conf"}
        (root.path / "tmp/apt.conf").write_text(
            'APT::Get::Assume-Yes "true"; APT::Install-Recommends "false"; quiet "2";')
        root.run("sh", "-c", f"cd /tmp && {INSTALL_PACKAGE}", environment=options)
        check("apt-get installs the package with what it depends on", True, str(watch))
        user = root.run("id", "-u", "inkstone")[1].strip()
        data, cache = root.path / "var/lib/inkstone", root.path / "var/cache/inkstone"
        # What systemd does for StateDirectory and CacheDirectory.
        for folder in [data, cache]:
            folder.mkdir()
            os.chown(folder, int(user), int(user))
        with Server(root.command(*serve(), user=USER)) as server:
            check("a picture over HTTP", is_picture(server.picture()))
            server.stop()
        command = root.command(
            *serve(), "--config", "/etc/inkstone/inkstone.yaml", "--data", "/var/lib/inkstone",
            "--cache-dir", "/var/cache/inkstone", user=int(user))
        with Server(command) as server:
            check("a picture over HTTP, as the user inkstone", is_picture(server.picture()))
            server.stop()
        programs(check, root, "/usr")
        root.run("apt-get", "remove", "-y", "-qq", "inkstone")
        check("removed: programs are gone, data and configuration stay",
              not (root.path / "usr/bin/inkstone").exists() and (data / "jobs.sqlite").is_file()
              and (root.path / "etc/inkstone/inkstone.yaml").is_file())
        left = root.left_over("/home/someone", "/var/lib/inkstone", "/var/cache/inkstone", "/etc/inkstone",
                              "/etc/logrotate.d", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
        check("nothing else stays", not left, " ".join(left[:5]))
        root.run("apt-get", "purge", "-y", "-qq", "inkstone")
        left = root.left_over("/home/someone")
        check("purged: nothing is left", not left, " ".join(left[:5]))


def contents(check):
    """The archive's owners, times and size, and the unit."""
    path = only("inkstone-*.tar.gz")
    with tarfile.open(path) as file:
        members = file.getmembers()
    names = [member.name for member in members]
    check("members of the archive are sorted", names == sorted(names))
    check("they belong to root and have one time",
          all(member.uid == 0 and member.gid == 0 for member in members)
          and len({member.mtime for member in members}) == 1)
    check("no member is writable by others", not any(member.mode & 0o022 for member in members))
    total = sum(member.size for member in members)
    check("size", True, f"{path.stat().st_size / 1e6:.1f} MB, unpacked {total / 1e6:.1f} MB; "
          f"package {only('inkstone_*.deb').stat().st_size / 1e6:.1f} MB")
    sums = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=path.parent)
    check("checksums", sums.returncode == 0)


def unit(check):
    """systemd reads the unit, with a program that exists here in place of ours."""
    if not shutil.which("systemd-analyze"):
        print("LEFT OUT: systemd-analyze is not installed")
        return
    text = (REPOSITORY / "Deploy/inkstone.service").read_text()
    text = text.replace("/usr/local/bin/inkstone", "/bin/true").replace("User=inkstone", "User=root")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "inkstone.service"
        path.write_text(text.replace("Group=inkstone", "Group=root"))
        result = subprocess.run(["systemd-analyze", "verify", path], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
    check("systemd accepts the unit", result.returncode == 0 and not result.stdout.strip(), result.stdout.strip())


def main():
    if os.geteuid() != 0:
        sys.exit("packages.py needs root")
    check = Checks()
    check("both READMEs have the same commands", documented("README.md") == documented("README.zh.md"))
    contents(check)
    unit(check)
    for suite in sys.argv[1:] or NAMES:
        print(f"== {NAMES[suite]}", flush=True)
        made = subprocess.run([HERE / "make-root", suite], stdout=subprocess.PIPE, text=True)
        if made.returncode == 77:
            print(f"LEFT OUT: {NAMES[suite]} is not reachable")
            continue
        if made.returncode != 0:
            sys.exit(f"make-root {suite} failed")
        print("-- archive", flush=True)
        archive(check, made.stdout.strip())
        print("-- Debian package", flush=True)
        debian_package(check, made.stdout.strip())
    check.end()


if __name__ == "__main__":
    main()
