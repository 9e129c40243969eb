#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Runs a build and prints the processor seconds of each module that it compiled.

    cpu_by_module.py [--json FILE] -- swift build -c release --product inkstone --scratch-path .build-timing

The total comes from the kernel's account of all child processes and is exact. The table comes from samples
of /proc, five a second: each compiler process is named after its module, and its last sample counts, so a
process that lives for less than 0.2 s may be missing. Its sum is printed beside the total.
"""

import argparse
import collections
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL = 0.2


def module_of(arguments):
    """Returns the module or C target that a compiler process works on, or the program's name."""
    program = os.path.basename(arguments[0])
    if "-module-name" in arguments[:-1]:
        return arguments[arguments.index("-module-name") + 1]
    text = " ".join(arguments)
    match = re.search(r"/(\w+)\.build/", text)
    if match and program.startswith(("clang", "swift-autolink")):
        return match.group(1)
    return program


def processes():
    """Yields identifier, parent, processor seconds and arguments of every process."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            with open(f"/proc/{name}/cmdline") as file:
                arguments = file.read().split("\0")[:-1]
        except OSError:
            continue
        if arguments:
            seconds = (int(fields[11]) + int(fields[12])) / TICKS
            yield (int(name), int(fields[19])), int(fields[1]), seconds, arguments


def sample(root, seen, done):
    """Keeps the latest figures of every descendant of `root` in `seen` until `done` is set."""
    while not done.wait(INTERVAL):
        rows = list(processes())
        parents = {key[0]: parent for key, parent, _, _ in rows}
        for key, _, seconds, arguments in rows:
            ancestor = key[0]
            while ancestor not in (0, 1, root):
                ancestor = parents.get(ancestor, 0)
            if ancestor == root:
                seen[key] = (module_of(arguments), seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    seen, done = {}, threading.Event()
    start = time.monotonic()
    process = subprocess.Popen(options.command, stdout=sys.stderr)
    sampler = threading.Thread(target=sample, args=(process.pid, seen, done))
    sampler.start()
    status = process.wait()
    done.set()
    sampler.join()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = usage.ru_utime + usage.ru_stime
    modules = collections.Counter()
    for module, seconds in seen.values():
        modules[module] += seconds
    print("| Module | Processor seconds |\n|---|---|")
    for module, seconds in modules.most_common():
        if seconds >= 1:
            print(f"| {module} | {seconds:.1f} |")
    print(f"| all sampled | {sum(modules.values()):.1f} |")
    print(f"| **total** | {total:.1f} |")
    print(f"\n{time.monotonic() - start:.0f} s on {os.cpu_count()} processors")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"total": total, "wall": time.monotonic() - start, "modules": dict(modules)}, file, indent=1)
    sys.exit(status)


if __name__ == "__main__":
    main()
