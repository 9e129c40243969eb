# Part of Inkstone. Licence: see LICENSE.
"""Jobs for a fleet, what they must become, and how they are sent and looked at; for the parts of
Tests/fleet/fleet.py."""

import base64
import json
import random
import struct
import sys
import threading
import time
import zlib

from running_server import Checks, RunningServer

check = Checks()


def png(width, height, colour):
    """A plain picture to start from."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    rows = (b"\0" + bytes(colour) * width) * height
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def kinds(count):
    """Requests of mixed sizes, steps, guidance, counts and starts, the same in every run."""
    dice = random.Random(7)
    things = ["apple", "fish", "house", "star", "car", "熊猫", "flower", "robot"]
    for number in range(count):
        request = {
            "prompt": f"a {dice.choice(things)} number {number}", "seed": 1000 + 7 * number,
            "size": dice.choice(["128x128", "128x128", "64x64", "96x128"]),
            "steps": dice.randint(4, 40), "n": dice.choice([1, 1, 1, 2]),
        }
        if number % 5 == 1:
            request |= {"guidance_scale": 3.0, "negative_prompt": "blur"}
        if number % 7 == 2:
            colour = [dice.randrange(256) for _ in range(3)]
            request |= {"image": base64.b64encode(png(64, 64, colour)).decode(), "strength": 0.7}
        yield request


def hashes(job):
    return [image["pixel_sha256"] for image in job["images"]]


def alone(program, requests):
    """What one machine makes of each request, one after the other."""
    known = []
    with RunningServer(program, "--threads", "1") as server:
        for request in requests:
            status, _, body = server.ask("/api/jobs", request)
            if status != 202:
                sys.exit(f"the reference refused {request}: {body}")
            job = json.loads(body)
            while job["state"] in ("queued", "running"):
                time.sleep(0.003)
                job = json.loads(server.ask(f"/api/jobs/{job['id']}")[2])
            known.append(hashes(job))
    return known


def submit(fleet, request, key, choose, refusals=None, passing=(0, 503)):
    """Sends a request until some gateway has accepted it; other answers than the passing ones end it all."""
    while True:
        status, headers, body = fleet.ask(
            choose(), "/api/jobs", request, timeout=20, idempotency_key=key)
        if status == 202:
            return json.loads(body)["id"]
        if status not in passing:
            sys.exit(f"a gateway answered {status}: {body}")
        if status == 503 and refusals is not None:
            refusals.append(headers.get("retry-after"))
        time.sleep(0.2)


def submit_all(fleet, requests, choose, users, pause, refusals=None):
    """Sends requests from several users, who rest after each one; their jobs, in order."""
    jobs = [None] * len(requests)

    def send(offset):
        for number in range(offset, len(requests), users):
            jobs[number] = submit(fleet, requests[number], f"key-{number}", choose, refusals)
            time.sleep(pause)

    senders = [threading.Thread(target=send, args=(offset,)) for offset in range(users)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return jobs


def look(fleet, job, choose):
    status, _, body = fleet.ask(choose(), f"/api/jobs/{job}", timeout=20)
    return json.loads(body) if status == 200 else None


def wait_for(fleet, jobs, choose, seconds):
    """The final answers of jobs, as they were first seen."""
    final, end = {}, time.monotonic() + seconds
    while len(final) < len(jobs):
        for job in jobs:
            if job in final:
                continue
            answer = look(fleet, job, choose)
            if answer and answer["state"] not in ("queued", "running"):
                final[job] = answer
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return final
