#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Pull a model again and again from a hub on this machine that fails in every way it can.

    pull_proof.py [--inkstone .build/release/inkstone] [--rounds 24] [--seed 0]

The hub speaks the interfaces of Hugging Face and ModelScope. Each round draws faults for each file: drops in
the middle, 429 and 503 with and without Retry-After, wrong lengths, wrong bytes, ignored ranges, redirects; in
every third round the program is killed in the middle. Whatever happens, a folder with the model's name
is complete and has the right bytes, or is not there, or is the version before; a failure is one line. At the
end a pull without faults must succeed. Exits with 1 if anything else is seen. Needs nothing but Python.
"""

import argparse
import collections
import hashlib
import http.server
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

REPOSITORY = "owner/model"
FAULTS = ("none", "none", "drop", "drop", "drop", "429", "503", "short", "long", "bytes", "whole",
          "redirect", "slow")


class Hub(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.chance = {}, {}, random.Random(0)
        self.lock = threading.Lock()
        self.sent = collections.Counter()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        """A killed client is expected."""

    def next_fault(self, name):
        with self.lock:
            waiting = self.faults.get(name, [])
            return waiting.pop(0) if waiting else "none"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        try:
            self.route(urllib.parse.urlsplit(self.path))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def route(self, parts):
        hub, path = self.server, urllib.parse.unquote(parts.path)
        query = urllib.parse.parse_qs(parts.query)
        if path == f"/api/models/{REPOSITORY}/revision/main":
            return self.answer(b'{"sha": "c0ffee"}')
        if path == f"/api/models/{REPOSITORY}/tree/c0ffee":
            entries = []
            for name, data in hub.files.items():
                blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
                entry = {"type": "file", "path": name, "size": len(data), "oid": blob}
                if name.endswith(".safetensors"):
                    entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
                entries.append(entry)
            return self.answer(json.dumps(entries).encode())
        if path == f"/api/v1/models/{REPOSITORY}/repo/files":
            entries = [{"Path": name, "Type": "blob", "Size": len(data),
                        "Sha256": hashlib.sha256(data).hexdigest()}
                       for name, data in hub.files.items()]
            return self.answer(json.dumps({"Code": 200, "Data": {"Files": entries}}).encode())
        if path == f"/api/v1/models/{REPOSITORY}/repo":
            return self.file(query["FilePath"][0])
        for prefix in (f"/{REPOSITORY}/resolve/c0ffee/", "/elsewhere/"):
            if path.startswith(prefix):
                return self.file(path.removeprefix(prefix), elsewhere=prefix == "/elsewhere/")
        return self.answer(b"", 404)

    def file(self, name, elsewhere=False):
        hub = self.server
        if name not in hub.files:
            return self.answer(b"", 404)
        data = hub.files[name]
        fault = "none" if elsewhere else hub.next_fault(name)
        if fault == "429":
            return self.answer(b"", 429, Retry_After="0")
        if fault == "503":
            return self.answer(b"", 503)
        if fault == "redirect":
            return self.answer(b"", 302, Location=f"/elsewhere/{urllib.parse.quote(name)}")
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and fault != "whole":
            start = int(wanted[1])
            if start >= len(data):
                return self.answer(b"", 416)
        body = data[start:]
        if fault == "bytes":
            body = bytes(255 - b for b in body)
        if fault == "short":
            body = body[:-1]
        if fault == "long":
            body += b"xyz"
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "drop":
            body = body[:hub.chance.randrange(1, max(2, len(body)))]
        piece = 1 << 14 if fault == "slow" else 1 << 20
        for at in range(0, len(body), piece):
            self.wfile.write(body[at:at + piece])
            hub.sent[name] += len(body[at:at + piece])
            if fault == "slow":
                time.sleep(0.002)
        if fault == "drop":
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()


def make_files(chance):
    """A repository in the diffusers layout, with a few megabytes of noise for weights."""
    def noise(size):
        return chance.randbytes(size)

    return {
        "model_index.json": b'{"_class_name": "ZImagePipeline"}', "README.md": b"not needed",
        "scheduler/scheduler_config.json": b"{}", "transformer/config.json": b"{}",
        "transformer/diffusion_pytorch_model.safetensors.index.json": b"{}",
        "transformer/diffusion_pytorch_model-00001-of-00002.safetensors": noise(3 << 20),
        "transformer/diffusion_pytorch_model-00002-of-00002.safetensors": noise(2_000_001),
        "text_encoder/config.json": b"{}", "text_encoder/model.safetensors": noise(1_500_000),
        "tokenizer/vocab.json": b"{}", "tokenizer/merges.txt": b"#version: 0.2\n",
        "vae/config.json": b"{}", "vae/diffusion_pytorch_model.safetensors": noise(700_000),
    }


def state_of(folder, versions):
    """Which version of the files is in place: its number, None for no folder, or what is wrong."""
    if not folder.exists():
        return None
    there = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*")
             if p.is_file() and not p.name.startswith(".")}
    for number, files in enumerate(versions):
        if there == {n: d for n, d in files.items() if n != "README.md"}:
            return number
    return f"files {sorted(there)} that do not form a version of the model"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    hub = Hub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    versions, ends = [], collections.Counter()
    good = True
    with tempfile.TemporaryDirectory(prefix="inkstone-pull-") as name:
        root = pathlib.Path(name)
        folder = root / "model"
        environment = {**os.environ, "INKSTONE_MODELS": name, "HF_ENDPOINT": hub.address,
                       "MODELSCOPE_ENDPOINT": hub.address}
        for number in range(arguments.rounds + 1):
            if number % 4 == 0:
                # A new version: some files change, some stay.
                files = make_files(chance)
                if versions:
                    files["vae/diffusion_pytorch_model.safetensors"] = versions[-1][
                        "vae/diffusion_pytorch_model.safetensors"]
                versions.append(files)
                hub.files = files
            last = number == arguments.rounds
            hub.chance = random.Random(chance.random())
            hub.faults = {} if last else {
                name: [chance.choice(FAULTS) for _ in range(chance.randrange(4))]
                for name in hub.files}
            hub.sent.clear()
            command = [arguments.inkstone, "models", "pull", REPOSITORY, "--connections",
                       str(chance.choice((1, 4)))]
            if number % 2:
                command += ["--hub", "modelscope"]
            before = state_of(folder, versions)
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            killed = number % 3 == 2 and not last
            if killed:
                deadline = time.time() + chance.uniform(0.02, 0.5)
                while time.time() < deadline and process.poll() is None:
                    time.sleep(0.005)
                process.kill()
            _, errors = process.communicate(timeout=300)
            after = state_of(folder, versions)
            newest = len(versions) - 1
            passed = (
                after == newest if process.returncode == 0
                else after in (before, newest) and (killed or errors.count("\n") == 1))
            if process.returncode == 0 and not killed:
                leftovers = [p.name for p in root.iterdir() if p.name.endswith((".pull", ".old"))]
                passed &= not leftovers
            if last:
                passed &= process.returncode == 0
            good &= passed
            end = "killed" if killed and process.returncode < 0 else str(process.returncode)
            ends[end] += 1
            if not passed or process.returncode not in (0, -9):
                print(f"{'ok' if passed else 'FAILED':6} round {number}: ended with {end}, in place"
                      f" {before} -> {after}: {errors.strip()[:300]}")
    hub.shutdown()
    print(f"{'ok' if good else 'FAILED':6} {arguments.rounds} rounds, by end: {dict(ends)}")
    # A run in which nothing was killed and nothing failed would prove little.
    return 0 if good and len(ends) > 2 else 1


if __name__ == "__main__":
    sys.exit(main())
