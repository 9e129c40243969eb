#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Installs the archive and the Debian package in bare roots of distributions, generates a picture over HTTP,
uninstalls, and shows that nothing but data is left. As root; `make package` first.

    packages.py [SUITE...]       bookworm, trixie, jammy, noble and focal, which is too old, if none is given

INKSTONE_ROOTS is where bare roots are kept; a distribution whose mirror does not answer is left out, aloud.
"""

import base64
import gzip
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

from bare_root import REPOSITORY, USER, BareRoot, Server, Stopwatch, fleet_picture, only
from running_server import Checks

NAMES = {"bookworm": "Debian 12", "trixie": "Debian 13", "jammy": "Ubuntu 22.04", "noble": "Ubuntu 24.04",
         "focal": "Ubuntu 20.04"}


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
# Where the README says that the page is.
PAGE = re.search(r"inkstone serve +# .* (http://\S+)", (REPOSITORY / "README.md").read_text()).group(1)


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


def as_documented(check, root):
    """The README's command with nothing added."""
    with Server(root.command(*SERVE.split(), user=USER, own_network=True)) as server:
        check(f"'{SERVE}' serves the page on {PAGE}", b"<html" in server.page_inside(PAGE + "/"))
        check("SIGTERM ends it with status 0", server.stop())


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
              and (root.path / "etc/inkstone/inkstone.yaml").is_file()
              and (root.path / "etc/inkstone/worker.env").is_file())
        unit = root.path / "usr/local/lib/systemd/system/inkstone.service"
        check("the units name the prefix", "ExecStart=/usr/local/bin/inkstone serve" in unit.read_text()
              and "ExecStart=/usr/local/bin/inkstone worker"
              in unit.with_name("inkstone-worker.service").read_text())
        root.run("/usr/local/share/inkstone/install.sh", "--uninstall")
        left = root.left_over(folder)
        check("uninstalled with the service: nothing is left", not left, " ".join(left[:5]))

        # A file of an earlier version, which this one does not have.
        listing = root.path / "usr/local/share/inkstone/installed-files"
        root.run(f"{folder}/install.sh")
        (listing.parent / "earlier").write_text("")
        listing.write_text(listing.read_text() + "/usr/local/share/inkstone/earlier\n")
        root.run(f"{folder}/install.sh")
        check("files of an earlier version are removed", not (listing.parent / "earlier").exists())
        root.run(f"{folder}/install.sh", "--uninstall")

        watch = Stopwatch()
        root.run("sh", "-c", f"cd /opt && {INSTALL_ARCHIVE}")
        with Server(root.command(*serve(), user=USER)) as server:
            picture = server.picture()
            check("from the unpacked archive to a picture over HTTP", is_picture(picture), str(watch))
            check("SIGTERM ends it with status 0", server.stop())
        as_documented(check, root)
        watch = Stopwatch()
        root.run("/usr/local/bin/inkstone", "--version")
        check("the start of the program", True, str(watch))
        programs(check, root, "/usr/local")
        fleet(check, root, "/usr/local")
        root.run("sh", "-c", f"cd /opt && {INSTALL_ARCHIVE} --uninstall")
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
        # Shells that bare roots do not have.
        for shell, path in [("zsh", files[2]), ("fish", files[3])]:
            if shutil.which(shell):
                result = subprocess.run([shell, "-n", path])
                check(f"{shell} reads the completions of {program}", result.returncode == 0)
            else:
                print(f"LEFT OUT: {shell} is not installed")
    check("imgbench starts", "imgbench" in root.run(f"{prefix}/bin/imgbench", "--help")[1])
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", root.run(f"{prefix}/bin/inkstone", "serve", "--help")[1]))
    with gzip.open(share / "man/man1/inkstone-serve.1.gz", "rt") as page:
        manual = page.read().replace("\\-", "-")
    missing = sorted(option for option in options if option not in manual)
    check(f"the manual describes all {len(options)} options of serve", len(options) > 20 and not missing,
          " ".join(missing))


def fleet(check, root, prefix):
    """The installed program as gateway and worker, the worker by the command line of its unit."""
    def gateway(queue):
        return root.command(f"{prefix}/bin/inkstone", "serve", "--queue", queue, "--port", "0", "--page-port", "0",
                            "--data", "/tmp/gateway", user=USER)

    def worker(queue):
        text = (REPOSITORY / "Deploy/inkstone-worker.service").read_text()
        line = re.search(r"ExecStart=/usr/local/bin/inkstone (.*)", text).group(1)
        # What systemd makes of the file of settings.
        settings = dict(one.split("=", 1) for one in (REPOSITORY / "Deploy/worker.env").read_text().splitlines()
                        if "=" in one and not one.startswith("#")) | {"QUEUE": queue}
        for name, value in settings.items():
            line = line.replace(f"${{{name}}}", value).replace(f"${name}", value)
        words = line.replace("%C", "/tmp").split()
        return root.command(f"{prefix}/bin/inkstone", *words, user=USER)

    status, text = root.run(f"{prefix}/bin/inkstone", "worker", "--queue", "pigeon://127.0.0.1", check=False)
    check("the program has the fleet", status == 64 and "pigeon" in text and "without" not in text, text.strip())
    result = fleet_picture(gateway, worker)
    if result:
        picture, ended = result
        check("a picture by a gateway, NATS and a worker", is_picture(picture))
        check("SIGTERM ends both with status 0", ended)
    for folder in ["gateway", "inkstone"]:
        shutil.rmtree(root.path / "tmp" / folder, ignore_errors=True)


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
        with Server(root.command(*serve(), user=USER)) as server:
            check("a picture over HTTP", is_picture(server.picture()))
            server.stop()
        as_documented(check, root)
        data = service(check, root)
        programs(check, root, "/usr")
        fleet(check, root, "/usr")
        root.run("apt-get", "remove", "-y", "-qq", "inkstone")
        check("removed: programs are gone, data and configuration stay",
              not (root.path / "usr/bin/inkstone").exists() and (data / "jobs.sqlite").is_file()
              and (root.path / "etc/inkstone/inkstone.yaml").is_file()
              and (root.path / "etc/inkstone/worker.env").is_file())
        left = root.left_over("/home/someone", "/var/lib/inkstone", "/var/cache/inkstone", "/etc/inkstone",
                              "/etc/logrotate.d", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
        check("nothing else stays", not left, " ".join(left[:5]))
        root.run("apt-get", "purge", "-y", "-qq", "inkstone")
        left = root.left_over("/home/someone")
        left += [name for name in ["var/lib", "var/cache", "var/log", "etc"] if (root.path / name / "inkstone").exists()]
        check("purged: nothing is left", not left, " ".join(left[:5]))
        check("and no user", root.run("id", "inkstone", check=False)[0] != 0)


def service(check, root):
    """Runs the unit's command line as its user; returns its data folder."""
    unit = (root.path / "usr/lib/systemd/system/inkstone.service").read_text()
    # What systemd makes of these names, and the folders that it makes.
    folders = {"%S": "/var/lib", "%C": "/var/cache", "%L": "/var/log"}
    for name, folder in folders.items():
        unit = unit.replace(name, folder)
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    user = int(root.run("id", "-u", settings["User"])[1])
    for folder in folders.values():
        path = root.path / folder[1:] / "inkstone"
        path.mkdir()
        os.chown(path, user, user)
    variable, value = settings["Environment"].split("=", 1)
    command = [*settings["ExecStart"].split(), "--port", "0", "--page-port", "0"]
    with Server(root.command(*command, user=user, environment={variable: value})) as server:
        check("a picture over HTTP, by the service's command line and user", is_picture(server.picture()))
        server.stop()
    check("its access log is written", (root.path / "var/log/inkstone/access.log").stat().st_size > 0)
    return root.path / "var/lib/inkstone"


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
    named = [re.search(r"inkstone\S+?\.(deb|tar\.gz)", line).group() for line in (INSTALL_PACKAGE, UNPACK)]
    missing = [name for name in named if not (path.parent / name).is_file()]
    check("the files have the names that the README has", not missing, " ".join(missing))
    sums = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=path.parent)
    check("checksums", sums.returncode == 0)


def refused_program(check, root):
    """A program of Debian 13 itself is too new for the others, and Packaging/check-programs says why."""
    result = subprocess.run([REPOSITORY / "Packaging/check-programs", f"{root}/usr/bin/apt-get"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check("check-programs refuses new symbols and unknown libraries", result.returncode != 0
          and "is newer than GLIBCXX_3.4.30" in result.stdout and "not in shared-libraries.txt" in result.stdout)


def too_old(check, bare):
    """A C library older than the programs need is reported, and nothing is installed."""
    with BareRoot(bare) as root:
        folder = unpack(root)
        status, text = root.run(f"{folder}/install.sh", check=False)
        check("an old C library is refused", status != 0 and "glibc 2.35 or newer is needed" in text, text.strip())
        check("nothing was installed", not root.left_over(folder))


def unit(check, name):
    """systemd reads a unit, with a program that exists here in place of ours."""
    if not shutil.which("systemd-analyze"):
        print("LEFT OUT: systemd-analyze is not installed")
        return
    text = (REPOSITORY / "Deploy" / name).read_text()
    text = text.replace("/usr/local/bin/inkstone", "/bin/true").replace("User=inkstone", "User=root")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name
        path.write_text(text.replace("Group=inkstone", "Group=root"))
        result = subprocess.run(["systemd-analyze", "verify", path], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
    check(f"systemd accepts {name}", result.returncode == 0 and not result.stdout.strip(), result.stdout.strip())


def main():
    if os.geteuid() != 0:
        sys.exit("packages.py needs root")
    check = Checks()
    check("both READMEs have the same commands", documented("README.md") == documented("README.zh.md"))
    contents(check)
    for name in ["inkstone.service", "inkstone-worker.service"]:
        unit(check, name)
    for suite in sys.argv[1:] or NAMES:
        print(f"== {NAMES[suite]}", flush=True)
        made = subprocess.run([HERE / "make-root", suite], stdout=subprocess.PIPE, text=True)
        if made.returncode == 77:
            print(f"LEFT OUT: {NAMES[suite]} is not reachable")
            continue
        if made.returncode != 0:
            sys.exit(f"make-root {suite} failed")
        if suite == "focal":
            too_old(check, made.stdout.strip())
            continue
        if suite == "trixie":
            refused_program(check, made.stdout.strip())
        print("-- archive", flush=True)
        archive(check, made.stdout.strip())
        print("-- Debian package", flush=True)
        debian_package(check, made.stdout.strip())
    check.end()


if __name__ == "__main__":
    main()
