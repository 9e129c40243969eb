#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""What may happen to a server, and must not cost a job: killed workers, a killed server, a full disk.

    endurance.py [--inkstone PROGRAM] [--short] [PART...]

Parts: workers (the worker is killed every 5 s for a minute under load), server (gateway and worker are
killed while jobs wait and run, and started again), disk (the data folder's disk is full for 10 s; needs
root to mount one), slow (a reader of a byte a second and 200 idle connections beside others), leave (a
client goes after the first event), backup (a copy of a running server's data, served by another) and soak
(an hour under load: see soak.py). All of them when none is named. `--short` takes a tenth of the time.
The soak alone, beside other work, with its result in a file:

    nice -n 10 Tests/operation/endurance.py soak >soak.log 2>&1 &
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import soak
from running_server import PROGRAM, ROOT, Checks, RunningServer, wait
from soak import STREAM, stream

check = Checks()
THINGS = ["a cat", "一只狗", "a red apple on a blue background", "黄色背景上的熊猫", "a rocket and a key"]


def requests(count, seed):
    rng = random.Random(seed)
    return [{"prompt": rng.choice(THINGS), "width": rng.choice([64, 128, 192]), "height": 128,
             "steps": rng.randint(4, 40), "guidance_scale": rng.choice([0, 3.5]), "seed": number}
            for number in range(count)]


def expected(program, requests):
    """Digests of the pixels that a process of its own makes of each request."""
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for r in requests:
            out = subprocess.run(
                [program, "generate", r["prompt"], "--width", str(r["width"]), "--height",
                 str(r["height"]), "--steps", str(r["steps"]), "--guidance-scale",
                 str(r["guidance_scale"]), "--seed", str(r["seed"]), "--json", "--output",
                 f"{folder}/x.png"], capture_output=True, text=True, check=True, cwd=ROOT)
            digests.append(json.loads(out.stdout)["sha256"])
    return digests


def submit(server, request):
    status, _, body = server.ask("/api/jobs", request)
    if status != 202:
        raise RuntimeError(f"{status}: {body[:200]}")
    return json.loads(body)["id"]


def job(server, name):
    return json.loads(server.ask(f"/api/jobs/{name}")[2])


def judge(name, jobs, digests):
    """Whether every job succeeded, and with the right picture."""
    states = [job["state"] for job in jobs]
    lost = [(job["id"], job["state"], job.get("failure")) for job in jobs if job["state"] != "succeeded"]
    check(f"{name}: every job succeeded", not lost, f"{len(states)} jobs {lost[:2] or ''}")
    wrong = sum(image["pixel_sha256"] != digests[index % len(digests)]
                for index, job in enumerate(jobs) for image in job["images"])
    check(f"{name}: every picture is right", wrong == 0, f"{wrong} of {len(jobs)} differ")


def workers(program, scale):
    pool = requests(12, "workers")
    digests = expected(program, pool)
    seconds, names, lock, kills = 60 * scale, [], threading.Lock(), 0
    with RunningServer(program, "--waiting", 500) as server:
        end = time.monotonic() + seconds

        def user(number):
            place = number
            while time.monotonic() < end:
                name = submit(server, pool[place % len(pool)])
                with lock:
                    names.append((name, place % len(pool)))
                wait("a job", lambda: job(server, name).get("finished") is not None, 120)
                place += 5

        threads = [threading.Thread(target=user, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            time.sleep(min(5, max(1, seconds / 3)))
            for pid in server.workers():
                os.kill(pid, signal.SIGKILL)
                kills += 1
        for thread in threads:
            thread.join()
        jobs = [job(server, name) for name, _ in names]
        attempts = server.metric("inkstone_worker_restarts_total")
        judge("killed workers", jobs, [digests[place] for _, place in names])
        check("killed workers: each was replaced", attempts >= kills - 1 > 0, f"{kills} kills")


def whole_server(program, scale):
    pool = requests(12, "server")
    digests = expected(program, pool)
    with tempfile.TemporaryDirectory() as data:
        names = []
        for _ in range(max(2, round(5 * scale))):
            server = RunningServer(program, "--waiting", 500, "--running", 3, data=data)
            names += [submit(server, request) for request in pool]
            time.sleep(0.3)
            server.kill()
        server = RunningServer(program, "--waiting", 500, data=data)
        with server:
            wait("the jobs", lambda: all(job(server, name).get("finished") for name in names), 180)
            jobs = [job(server, name) for name in names]
            judge("killed server", jobs, digests)
            again = sum(job["attempts"] > 1 for job in jobs)
            check("killed server: some were under way", again > 0, f"{again} of {len(jobs)} jobs")


def disk(program, scale):
    if os.geteuid() != 0:
        print("skip full disk: only root can mount a small one")
        return
    pool = requests(6, "disk")
    digests = expected(program, pool)
    with tempfile.TemporaryDirectory() as folder:
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder], check=False)
        if mount.returncode != 0:
            print("skip full disk: mounting is not allowed here")
            return
        try:
            with RunningServer(program, "--waiting", 500, data=f"{folder}/data") as server:
                names = [submit(server, request) for request in pool]
                ballast = pathlib.Path(folder) / "ballast"
                # Unbuffered: closing would write again what did not fit.
                with open(ballast, "wb", buffering=0) as file:
                    try:
                        while True:
                            file.write(bytes(65536))
                    except OSError:
                        pass
                statuses, end = set(), time.monotonic() + 10 * scale
                while time.monotonic() < end:
                    statuses.add(server.ask("/readyz")[0])
                    time.sleep(0.2)
                ballast.unlink()
                wait("the jobs", lambda: all(job(server, name).get("finished") for name in names), 120)
                judge("full disk", [job(server, name) for name in names], digests)
                more = [submit(server, request) for request in pool]
                wait("more jobs", lambda: all(job(server, name).get("finished") for name in more), 60)
                judge("after a full disk", [job(server, name) for name in more], digests)
                check("full disk: the service answered", statuses <= {200, 503}, statuses)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)


class Burden:
    """200 connections that say nothing, and a reader of a byte a second."""

    def __init__(self, server):
        self.idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        body = json.dumps({"prompt": "a cat", "size": "256x256", "steps": 50, "seed": 2} | STREAM).encode()
        before = server.metric("inkstone_images_total")
        self.reader = socket.create_connection(("127.0.0.1", server.port))
        self.reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.reader.sendall(
            b"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        # Its own picture is drawn at once, whatever it reads of it.
        wait("the slow reader's picture",
             lambda: server.metric("inkstone_images_total") > before, 60)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while not self.stop.wait(1):
            self.reader.recv(1)

    def end(self):
        self.stop.set()
        self.thread.join()
        for connection in [self.reader, *self.idle]:
            connection.close()


def slow(program, scale):
    request = {"prompt": "a cat", "size": "128x128", "steps": 20, "seed": 1}
    with RunningServer(program) as server:
        times = {True: [], False: []}
        # In turns: the machine may have other things to do at times.
        for number in range(max(6, round(12 * scale))):
            burden = Burden(server) if number % 2 else None
            stream(server.port, request)
            times[number % 2 == 1] += [stream(server.port, request) for _ in range(10)]
            if burden:
                burden.end()
        before, after = statistics.median(times[False]), statistics.median(times[True])
        check("slow reader and 200 idle connections: others are as fast", after < 1.25 * before,
              f"{1000 * before:.0f} ms without, {1000 * after:.0f} ms beside them")


def leave(program, scale):
    request = json.dumps({"prompt": "a cat", "size": "256x256", "steps": 200, "seed": 1} | STREAM).encode()
    with RunningServer(program, "--pass-tokens", 1) as server:
        steps = []
        for _ in range(max(3, round(10 * scale))):
            before = server.metric("inkstone_denoise_evaluations_total")
            connection = socket.create_connection(("127.0.0.1", server.port))
            connection.sendall(
                b"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                + f"Content-Length: {len(request)}\r\n\r\n".encode() + request)
            answer = b""
            while b"event: image_generation.partial_image" not in answer:
                answer += connection.recv(4096)
            connection.close()
            wait("the worker to be free", lambda: server.metric(
                "inkstone_engine_requests", state="running") == 0)
            time.sleep(0.1)
            # The first partial image is that of the first step.
            steps.append(int(server.metric("inkstone_denoise_evaluations_total") - before) - 1)
        # What was under way when the news came, and what was done while it travelled.
        check("client that leaves: the worker is free within a step", min(steps) <= 2,
              f"steps after the one that was seen: {steps}")


def backup(program, scale):
    pool = requests(3, "backup")
    with tempfile.TemporaryDirectory() as folder, RunningServer(program) as server:
        names = [submit(server, request) for request in pool]
        wait("the jobs", lambda: all(job(server, name).get("finished") for name in names))
        subprocess.run([program, "backup", f"{folder}/copy", "--data", str(server.data)], check=True,
                       capture_output=True)
        with RunningServer(program, data=f"{folder}/copy") as second:
            pictures = [second.ask(f"/api/jobs/{name}/images/0") for name in names]
            same = [first.ask(f"/api/jobs/{name}/images/0")[2] for first in [server] for name in names]
            check("backup: the copy has the same pictures",
                  [answer[2] for answer in pictures] == same and all(a[0] == 200 for a in pictures),
                  hashlib.sha256(b"".join(same)).hexdigest()[:12])


def hour(program, scale):
    soak.run(program, scale, check, requests(12, "soak"))


PARTS = {"workers": workers, "server": whole_server, "disk": disk, "slow": slow, "leave": leave,
         "backup": backup, "soak": hour}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=str(PROGRAM))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], default=[])
    arguments = parser.parse_args()
    for name in arguments.part or PARTS:
        PARTS[name](str(pathlib.Path(arguments.inkstone).resolve()), 0.1 if arguments.short else 1)
    check.end()


if __name__ == "__main__":
    main()
