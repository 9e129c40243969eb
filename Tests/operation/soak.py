# Part of Inkstone. Licence: see LICENSE.
"""The part `soak` of endurance.py: eight users for an hour, with all that leaves something behind.

Of 16 requests 9 are streamed images, 3 are image-to-image (as job, as form), 2 upload a LoRA file, use it and delete
it, and 2 delete a finished job. Memory, open files and the size of the data folder are measured all the time,
and must not grow; the size must be within `--keep-gb` at every measurement, apart from `ALLOWANCE`.
"""

import base64
import http.client
import json
import os
import pathlib
import random
import statistics
import struct
import threading
import time
import zlib

from running_server import ROOT, RunningServer

# Bytes of images and source pictures that the server may keep.
KEEP = 32 << 20
# Bytes for what `--keep-gb` does not count: the database's rows, its log of at most 4 MiB, the reserve for a full disk,
# and the images of the last minute, until the clock removes the oldest.
ALLOWANCE = 24 << 20
USERS = 8
# What makes a request of the OpenAI dialect answer with events; the most partial images that it allows.
STREAM = {"stream": True, "partial_images": 3}


def post(port, path, body, content_type="application/json", method="POST"):
    """Status and bytes of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, {"Content-Type": content_type} if body is not None else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def stream(port, request):
    """Seconds to the picture of a streamed request."""
    start = time.monotonic()
    _, body = post(port, "/v1/images/generations", json.dumps(request | STREAM))
    if b"event: image_generation.completed" not in body:
        raise RuntimeError(body[-300:])
    return time.monotonic() - start


def photo(seed, width=800, height=600):
    """A PNG file of noise, which cannot be compressed: 1.4 MB, as a small photo."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    noise = random.Random(seed).randbytes(3 * width * height)
    rows = b"".join(b"\0" + noise[3 * width * row:3 * width * (row + 1)] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 0))
            + chunk(b"IEND", b""))


class User:
    """One of the users, with its own files and its own order of requests."""

    def __init__(self, server, pool, number):
        self.server, self.port, self.pool, self.number = server, server.port, pool, number
        self.random = random.Random(f"user {number}")
        self.file = photo(number)
        self.lora = (ROOT / "Models/emoji-nano/loras/pixel.safetensors").read_bytes()
        self.finished = []
        self.counts = dict.fromkeys(["streamed", "from images", "with a LoRA", "deleted"], 0)

    def act(self):
        """One request, with what belongs to it."""
        kind = self.random.randrange(16)
        if kind < 9:
            stream(self.port, self.random.choice(self.pool))
            self.counts["streamed"] += 1
        elif kind < 12:
            (self.job_from_image if kind < 11 else self.form_with_image)()
            self.counts["from images"] += 1
        elif kind < 14:
            self.use_lora()
            self.counts["with a LoRA"] += 1
        else:
            self.delete_job()

    def expect(self, wanted, status, body):
        if status != wanted:
            raise RuntimeError(f"{status}, expected {wanted}: {body[:200]}")
        return body

    def job_from_image(self):
        request = self.random.choice(self.pool) | {"image": base64.b64encode(self.file).decode(), "strength": 0.6}
        name = json.loads(self.expect(202, *post(self.port, "/api/jobs", json.dumps(request))))["id"]
        end = time.monotonic() + 120
        while time.monotonic() < end:
            job = json.loads(self.expect(200, *post(self.port, f"/api/jobs/{name}", None, method="GET")))
            if job.get("finished") is not None:
                if job["state"] != "succeeded":
                    raise RuntimeError(f"job {name}: {job['state']}, {job.get('failure')}")
                self.finished = [*self.finished[-20:], name]
                return
            time.sleep(0.1)
        raise RuntimeError(f"job {name} did not end")

    def form_with_image(self):
        request = self.random.choice(self.pool)
        fields = {"prompt": request["prompt"], "size": f"{request['width']}x{request['height']}",
                  "num_inference_steps": request["steps"], "strength": 0.5}
        body = b"".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
                        for name, value in fields.items())
        body += b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        body += self.file + b"\r\n--b--\r\n"
        self.expect(200, *post(self.port, "/v1/images/edits", body, "multipart/form-data; boundary=b"))

    def use_lora(self):
        name = f"soak-{self.number}"
        self.expect(201, *post(self.port, f"/api/loras?name={name}", self.lora, "application/octet-stream"))
        try:
            stream(self.port, self.random.choice(self.pool) | {"loras": [{"name": name, "scale": 0.7}]})
        finally:
            self.expect(204, *post(self.port, f"/api/loras/{name}", None, method="DELETE"))

    def delete_job(self):
        if not self.finished:
            return
        # Pruned already, if it is not there.
        status, body = post(self.port, f"/api/jobs/{self.finished.pop()}", None, method="DELETE")
        if status not in (200, 204, 404):
            raise RuntimeError(f"{status}: {body[:200]}")
        self.counts["deleted"] += status != 404


def folder_size(folder):
    """Bytes of all files but those of LoRA folders, which nothing removes on its own."""
    total = 0
    for place, names, files in os.walk(folder):
        names[:] = [name for name in names if name != "loras"]
        for file in files:
            try:
                total += os.stat(os.path.join(place, file)).st_blocks * 512
            except FileNotFoundError:  # removed meanwhile
                continue
    return total


def run(program, scale, check, pool):
    """`scale` 1 is an hour."""
    with RunningServer(program, "--keep-gb", KEEP / 1e9) as server:
        end, rows, failures = time.monotonic() + 3600 * scale, [], []
        users = [User(server, pool, number) for number in range(USERS)]

        def act(user):
            while time.monotonic() < end:
                try:
                    user.act()
                except Exception as error:  # counted and shown
                    failures.append(str(error))

        threads = [threading.Thread(target=act, args=(user,)) for user in users]
        for thread in threads:
            thread.start()
        start, shown = time.monotonic(), 0
        while time.monotonic() < end:
            time.sleep(max(1, 30 * scale))
            seconds = time.monotonic() - start
            rows.append((seconds, server.memory(), server.descriptors(), folder_size(server.data)))
            if seconds >= shown + 60:
                shown = seconds
                print(f"     {seconds / 60:4.0f} min: memory {rows[-1][1] / 1e6:.1f} MB, {rows[-1][2]} open files,"
                      f" data {rows[-1][3] / 1e6:.1f} MB, {len(failures)} errors", flush=True)
        for thread in threads:
            thread.join()
        left = [path.name for path in (pathlib.Path(server.data) / "loras").glob("*")]
        counts = {name: sum(user.counts[name] for user in users) for name in users[0].counts}
        judge(rows, scale, check, failures, counts, left)


def judge(rows, scale, check, failures, counts, left):
    check("soak: no error", not failures,
          ", ".join(f"{count:,} {name}" for name, count in counts.items()) + f" {failures[:2] or ''}")
    largest = max(row[3] for row in rows)
    check("soak: the data folder is within --keep-gb at every measurement", largest <= KEEP + ALLOWANCE,
          f"at most {largest / 1e6:.1f} MB of {KEEP / 1e6:.1f} MB and {ALLOWANCE / 1e6:.1f} MB, {len(rows)} measurements")
    check("soak: no LoRA file is left", not left, left[:3])
    # Caches fill and arenas settle first.
    rows = [row for row in rows if row[0] > 0.2 * 3600 * scale]
    times, sizes, files, _ = zip(*rows)
    fit = statistics.linear_regression(times, sizes)
    growth = fit.slope * (times[-1] - times[0]) / statistics.mean(sizes)
    check("soak: memory is flat", growth < 0.01,
          f"{100 * growth:+.2f} % of {statistics.mean(sizes) / 1e6:.1f} MB over {times[-1] - times[0]:.0f} s;"
          f" by eighths {' '.join(f'{size / 1e6:.1f}' for size in sizes[::max(1, len(sizes) // 8)])}")
    check("soak: open files are flat", max(files) - min(files) <= 40, f"{min(files)} to {max(files)}")
