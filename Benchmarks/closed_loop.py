#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Closed-loop users against the server: throughput, times, and every picture checked.

    closed_loop.py [--inkstone PROGRAM] [--users 32] [--seconds 120] [--pass-tokens N] [--json]
    closed_loop.py --curve [--seconds 10]

Each user asks for a picture, waits for it and asks again; requests differ in size, steps, guidance and
seed. Every picture must equal, to the pixel, the one that `inkstone generate` makes of the same request
in a process of its own. `--curve` runs the same users over several sizes of a pass, and over a worker for
each processor; beside them one user alone, whose server has one worker with all processors. Needs Python
with Pillow.
"""

import argparse
import base64
import hashlib
import http.client
import io
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/support"))

from running_server import PROGRAM, RunningServer

THINGS = ["a cat", "一只狗", "a pizza", "a red apple on a blue background", "黄色背景上的熊猫",
          "a rocket and a key", "左边是猫，右边是汽车", "a tree above a fish"]


def pool(rng, uniform=None):
    """Requests to draw from; few enough that each can be made once more for comparison."""
    requests = []
    for number in range(1 if uniform else 48):
        if uniform:
            width, height, steps, guidance = uniform
        else:
            width, height = rng.choice([(64, 64), (128, 128), (128, 128), (96, 160), (192, 192)])
            steps, guidance = rng.randint(2, 12), rng.choice([0, 0, 3.5])
        requests.append({"prompt": rng.choice(THINGS), "width": width, "height": height,
                         "steps": steps, "guidance_scale": guidance, "seed": number})
    return requests


def ask(port, request):
    """`(seconds to the first preview or picture, seconds to the picture, digest of its pixels)`."""
    from PIL import Image
    start = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    body = request | {"stream": True, "partial_images": 1}
    connection.request(
        "POST", "/v1/images/generations", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.read(300)}")
    first, event, digest = None, None, None
    for line in answer:
        if line.startswith(b"event: "):
            event = line[7:].strip()
            if event.startswith(b"image_generation.") and first is None:
                first = time.monotonic() - start
            if event == b"error":
                raise RuntimeError(answer.read(300))
        elif line.startswith(b"data: ") and event == b"image_generation.completed":
            whole = time.monotonic() - start
            file = base64.b64decode(json.loads(line[6:])["b64_json"])
            digest = hashlib.sha256(Image.open(io.BytesIO(file)).convert("RGB").tobytes()).hexdigest()
    connection.close()
    if digest is None:
        raise RuntimeError("the stream ended without a picture")
    return first, whole, digest


def load(port, users, seconds, requests, seed):
    results, errors, lock = [], [], threading.Lock()
    end = time.monotonic() + seconds

    def user(number):
        rng = random.Random(f"{seed} {number}")
        while time.monotonic() < end:
            index = rng.randrange(len(requests))
            try:
                result = (index, *ask(port, requests[index]))
                with lock:
                    results.append(result)
            except Exception as error:  # counted and shown, not hidden
                with lock:
                    errors.append(str(error))

    before, start = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    threads = [threading.Thread(target=user, args=(n,)) for n in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"users": users, "seconds": wall, "pictures": len(results),
            "pictures_per_second": len(results) / wall,
            "first_frame_median": statistics.median(r[1] for r in results) if results else None,
            "end_to_end_median": statistics.median(r[2] for r in results) if results else None,
            "errors": len(errors), "first_errors": errors[:3], "client_cpu_share": cpu / wall}, results


def check(program, requests, results, arguments):
    """How many pictures differ from those of processes of their own."""
    expected = {}
    with tempfile.TemporaryDirectory() as folder:
        for index in sorted({r[0] for r in results}):
            r = requests[index]
            out = subprocess.run(
                [program, "generate", r["prompt"], "--width", str(r["width"]), "--height",
                 str(r["height"]), "--steps", str(r["steps"]), "--guidance-scale",
                 str(r["guidance_scale"]), "--seed", str(r["seed"]), "--json", "--output",
                 f"{folder}/x.png", *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
            expected[index] = json.loads(out.stdout)["sha256"]
    return sum(expected[r[0]] != r[3] for r in results)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=str(PROGRAM))
    parser.add_argument("--users", type=int, default=32)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--pass-tokens", type=int)
    parser.add_argument("--seed", default="load")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.curve:
        return curve(arguments)
    requests = pool(random.Random(arguments.seed))
    options = ["--pass-tokens", arguments.pass_tokens] if arguments.pass_tokens else []
    with RunningServer(arguments.inkstone, *options) as server:
        figures, results = load(
            server.port, arguments.users, arguments.seconds or 120, requests, arguments.seed)
    figures["different_pictures"] = check(arguments.inkstone, requests, results, [])
    print(json.dumps(figures) if arguments.json else
          "\n".join(f"{key}: {value}" for key, value in figures.items()))
    sys.exit(1 if figures["errors"] or figures["different_pictures"] or not results else 0)


def curve(arguments):
    """One row for each setting; all of them beside one user alone, and requests of one kind."""
    seconds = arguments.seconds or 10
    requests = pool(random.Random(arguments.seed), uniform=(128, 128, 8, 0))
    rows = []

    def measure(users, tokens, workers):
        options = ["--pass-tokens", tokens, "--workers", workers]
        with RunningServer(arguments.inkstone, *options) as server:
            load(server.port, workers, 1, requests, "warm")
            return [load(server.port, count, seconds, requests, "load")[0] for count in users]

    settings = [(tokens, 1) for tokens in [1, 200, 400, 800, 1600, 3200]]
    settings += [(tokens, os.cpu_count()) for tokens in [1, 200, 400]]
    for tokens, workers in settings:
        if workers == 1:
            one, many = measure([1, arguments.users], tokens, 1)
        else:
            # One picture at a time is fastest with all processors in one worker.
            [one] = measure([1], tokens, 1)
            [many] = measure([arguments.users], tokens, workers)
        rows.append({"pass_tokens": tokens, "workers": workers,
                     "pictures_per_second": many["pictures_per_second"],
                     "throughput_ratio": many["pictures_per_second"] / one["pictures_per_second"],
                     "first_frame_ratio": many["first_frame_median"] / one["first_frame_median"],
                     "first_frame_one": one["first_frame_median"], "errors": many["errors"],
                     "client_cpu_share": many["client_cpu_share"]})
        if not arguments.json:
            print(f"{tokens:5} tokens a pass, {workers} workers: {rows[-1]['pictures_per_second']:6.2f} pictures/s,"
                  f" {rows[-1]['throughput_ratio']:.2f} times one user's;"
                  f" first frame {rows[-1]['first_frame_ratio']:.2f} times one user's"
                  f" {1000 * rows[-1]['first_frame_one']:.0f} ms;"
                  f" client {100 * rows[-1]['client_cpu_share']:.0f} % of a core", flush=True)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
