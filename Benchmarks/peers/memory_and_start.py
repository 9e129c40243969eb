#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Time from start to ready, first and warm, and resident memory of a server with a model.

    memory_and_start.py MODEL [--make [--layers 30] [--text-layers 36]] [--inkstone PATH]
                        [--precision int8] [--warm 5] [--size 512] [--steps 1]
                        [--cache-parent FOLDER] [--json FILE]

MODEL is a model's folder. With --make, `random_full_checkpoint.py` writes one of the real size there
if there is none (20 GB, and half of that again for the packed weights; fewer --layers make a smaller
one). The first start packs the weights into an empty cache, warm starts find them there; the cache
is removed at the end. Ready is when `/readyz` says so. Memory is read when the server is ready and
again after a picture:

    anonymous   RssAnon of /proc/PID/status, of the server and its worker
    packed      resident pages of the cache's files, shared by all processes that map them
    files       resident pages of the model's own files, which the system takes back when it needs them

The sum of the first two is what the model takes. The first start depends on whether the model's files
are in the page cache already; how much of them is, is printed before it. Needs Linux.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Server:
    """A running `inkstone serve` of one model, and what the system says about its memory."""

    def __init__(self, arguments, cache):
        command = [arguments.inkstone, "serve", "--model", str(arguments.model), "--precision",
                   arguments.precision, "--port", "0", "--page-port", "0", "--cache-dir", str(cache)]
        if arguments.threads:
            command += ["--threads", str(arguments.threads)]
        self.model, self.cache = arguments.model.resolve(), cache.resolve()
        self.started = time.monotonic()
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.api = None
        for line in self.process.stdout:
            if match := re.search(r"API +(http://\S+?)/v1/", line):
                self.api = match[1]
                break
        if not self.api:
            self.fail("before it served")

    def fail(self, when):
        status = self.process.wait()
        self.log.seek(0)
        raise SystemExit(f"the server ended with {status} {when}:\n{self.log.read()[-2000:]}")

    def wait(self):
        """Seconds from start to ready."""
        while True:
            if self.process.poll() is not None:
                self.fail("while it loaded")
            try:
                with urllib.request.urlopen(self.api + "/readyz", timeout=10):
                    return time.monotonic() - self.started
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
            time.sleep(0.02)

    def draw(self, arguments, number):
        """Seconds of one picture of a prompt of its own."""
        body = {"prompt": f"a red apple, number {number}", "n": 1, "response_format": "b64_json",
                "size": f"{arguments.size}x{arguments.size}", "seed": number,
                "num_inference_steps": arguments.steps, "guidance_scale": 0}
        request = urllib.request.Request(
            self.api + "/v1/images/generations", json.dumps(body).encode(),
            {"Content-Type": "application/json"})
        start = time.monotonic()
        with urllib.request.urlopen(request, timeout=3600) as reply:
            json.load(reply)
        return time.monotonic() - start

    def memory(self):
        """Bytes by kind, of the server and its one worker together."""
        total = {"anonymous": 0, "packed": 0, "files": 0}
        pids = [self.process.pid]
        for children in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            pids += map(int, children.read_text().split())
        for pid in pids:
            for kind, size in self.memory_of(pathlib.Path(f"/proc/{pid}")).items():
                total[kind] += size
        return total

    def memory_of(self, folder):
        status = (folder / "status").read_text()
        result = {"anonymous": 1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1]),
                  "packed": 0, "files": 0}
        kind = None
        for line in (folder / "smaps").read_text().splitlines():
            if match := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)", line):
                path = pathlib.Path(match[1].removesuffix(" (deleted)"))
                kind = ("packed" if self.cache in path.parents
                        else "files" if self.model in path.parents else None)
            elif kind and (match := re.match(r"Rss:\s+(\d+)", line)):
                result[kind] += 1024 * int(match[1])
        return result

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.read()
        self.process.wait(60)


def cached_share(folder):
    """Share of the weight files that is in the page cache, by `fincore`; None without that."""
    files = [str(p.resolve()) for p in folder.rglob("*.safetensors")]
    if not files or not shutil.which("fincore"):
        return None
    text = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", *files],
                          capture_output=True, text=True, check=True).stdout
    return sum(map(int, text.split())) / sum(os.path.getsize(f) for f in files)


def gigabytes(memory):
    text = ", ".join(f"{kind} {size / 1e9:.2f}" for kind, size in memory.items())
    return f"{(memory['anonymous'] + memory['packed']) / 1e9:.2f} GB ({text})"


def measure(arguments, cache):
    share = cached_share(arguments.model)
    if share is not None:
        print(f"model files in the page cache: {100 * share:.0f} %")
    starts, memory, pictures = [], {}, []
    for number in range(1 + arguments.warm):
        server = Server(arguments, cache)
        try:
            starts.append(server.wait())
            name = "first" if number == 0 else "warm"
            if number < 2:
                memory[f"{name} start, ready"] = server.memory()
                pictures.append(server.draw(arguments, number))
                memory[f"{name} start, after a picture"] = server.memory()
        finally:
            server.stop()
        print(f"{name} start: {starts[-1]:.2f} s", flush=True)
    packed = sum(p.stat().st_size for p in cache.rglob("*") if p.is_file())
    print(f"packed weights on the disk: {packed / 1e9:.2f} GB")
    if starts[1:]:
        print(f"warm starts: median {statistics.median(starts[1:]):.2f} s, {min(starts[1:]):.2f} to "
              f"{max(starts[1:]):.2f}; first {starts[0]:.2f} s")
    for name, value in memory.items():
        print(f"{name}: {gigabytes(value)}")
    return {"starts": starts, "memory": memory, "pictures": pictures, "packed_bytes": packed,
            "model_in_page_cache": share}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--make", action="store_true", help="write a model of random weights if there is none")
    parser.add_argument("--layers", type=int, default=30, help="of the transformer that is made")
    parser.add_argument("--text-layers", type=int, default=36, help="of the text encoder that is made")
    parser.add_argument("--inkstone", default=str(ROOT / ".build/release/inkstone"))
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--warm", type=int, default=5, help="warm starts")
    parser.add_argument("--size", type=int, default=512, help="side of the picture that is drawn")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--cache-parent", type=pathlib.Path,
                        help="where the cache's folder is made; beside the model if not given")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    if not (arguments.model / "model_index.json").exists():
        if not arguments.make:
            raise SystemExit(f"no model in {arguments.model}; --make writes one of random weights")
        subprocess.run([sys.executable, HERE / "random_full_checkpoint.py", arguments.model, "--layers",
                        str(arguments.layers), "--text-layers", str(arguments.text_layers)], check=True)
    parent = arguments.cache_parent or arguments.model.resolve().parent
    with tempfile.TemporaryDirectory(prefix="inkstone-cache-", dir=parent) as folder:
        result = measure(arguments, pathlib.Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
