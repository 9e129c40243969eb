#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""A server whose models run on a GPU, checked by the scripts that check one on the processor, and mixes of requests.

    gpu.py [--inkstone PROGRAM] [--software-gpu FOLDER] [--device vulkan:0] [--count 200] [PART...]

Parts: clients (Tests/clients/smoke.py), page (Tests/page/page.py), endurance (endurance.py --short) and mix: requests of
random sizes, steps, guidance and LoRA files, first one after the other, then in batches of random size. Every image
must have the same pixels both times, and some of them in a new process, which finds the driver's cache of compiled kernels.
All of them when none is named; those that check the page or clients need what these scripts need.

--software-gpu names a folder of Scripts/software-gpu; without it the device is one of this machine.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from gpu_program import gpu_program
from running_server import PROGRAM, ROOT, Checks, RunningServer

check = Checks()
THINGS = ["a cat", "一只狗", "a red apple on a blue background", "黄色背景上的熊猫", "a rocket and a key",
          "two stars", "a green tree, winter", "a house"]
SIDES = [64, 64, 80, 96, 112]


def requests(count, seed):
    """Requests that differ in everything that a batch may mix."""
    dice = random.Random(seed)
    loras = [path.stem for path in sorted((ROOT / "Models/emoji-nano/loras").glob("*.safetensors"))]
    made = []
    for number in range(count):
        request = {"prompt": dice.choice(THINGS), "size": f"{dice.choice(SIDES)}x{dice.choice(SIDES)}",
                   "steps": dice.randint(1, 4), "seed": 100 + number}
        if dice.random() < 0.4:
            request |= {"guidance_scale": dice.choice([1.5, 3.0]), "negative_prompt": dice.choice(["", "blur"])}
        if dice.random() < 0.5:
            chosen = dice.sample(loras, dice.randint(1, len(loras)))
            request["loras"] = [{"name": name, "scale": dice.choice([-0.5, 0.4, 0.8, 1.0])} for name in chosen]
        made.append(request)
    return made


def image(server, request):
    """Digest of the pixels that a server makes of a request, and what generated them."""
    status, _, body = server.ask("/v1/images/generations", request | {"response_format": "b64_json"})
    if status != 200:
        return f"{status}: {body[:200]}", None
    [made] = json.loads(body)["data"]
    return made["pixel_sha256"], made.get("origin")


def passes(server):
    """Images of all passes so far, each counted in every pass, and passes."""
    return [server.metric(f"inkstone_batch_size_{part}") for part in ("sum", "count")]


def mix(program, count, device):
    pool = requests(count, "mix")
    dice = random.Random("batches")
    with RunningServer(program, "--waiting", 500) as server:
        begin = time.monotonic()
        alone = [image(server, request) for request in pool]
        print(f"     {count} images alone in {time.monotonic() - begin:.0f} s", flush=True)
        failed = [digest for digest, _ in alone if ":" in digest]
        check("mix: alone every request succeeds", not failed, failed[:3])
        origins = {json.dumps(origin, sort_keys=True) for _, origin in alone}
        check("mix: answers name the device", len(origins) == 1 and f'"{device}"' in min(origins), origins)
        check("mix: requests give different images", len({digest for digest, _ in alone}) == count)
        order = list(range(count))
        dice.shuffle(order)
        wrong, batches, begin = [], 0, time.monotonic()
        before = passes(server)
        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            while order:
                size = dice.randint(2, 16)
                batch, order = order[:size], order[size:]
                batches += 1
                made = threads.map(lambda number: image(server, pool[number])[0], batch)
                wrong += [number for number, digest in zip(batch, made) if digest != alone[number][0]]
        print(f"     in {batches} batches in {time.monotonic() - begin:.0f} s", flush=True)
        check("mix: in batches every image has the same pixels as alone", not wrong,
              [(number, pool[number]) for number in wrong[:3]])
        images, count_of_passes = (after - earlier for after, earlier in zip(passes(server), before))
        check("mix: requests shared passes", images > 1.5 * count_of_passes,
              f"{images:.0f} images in {count_of_passes:.0f} passes")
    with RunningServer(program) as server:
        chosen = dice.sample(range(count), min(5, count))
        wrong = [number for number in chosen if image(server, pool[number])[0] != alone[number][0]]
        check(f"mix: {len(chosen)} requests in a new process have the same pixels", not wrong, wrong)


def script(name, path, *words):
    """Runs another script, which prints its own checks."""
    # A software GPU takes many times as long as the processor with its own kernels.
    environment = {"INKSTONE_TEST_TIMEOUT_FACTOR": "10"} | os.environ
    status = subprocess.run([sys.executable, HERE.parent / path, *map(str, words)], check=False,
                            env=environment).returncode
    check(name, status == 0, f"exit status {status}")


def clients(program):
    with RunningServer(program) as server:
        script("clients", "clients/smoke.py", "--base", server.base, "--model", "emoji-nano", "--size", "128x128")


def main():
    parts = ["clients", "page", "endurance", "mix"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=str(PROGRAM))
    parser.add_argument("--software-gpu", metavar="FOLDER")
    parser.add_argument("--device", default="vulkan:0")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("part", nargs="*", choices=[[], *parts], default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inkstone-gpu-") as folder:
        program = gpu_program(folder, arguments.inkstone, arguments.software_gpu, arguments.device)
        for part in arguments.part or parts:
            print(f"{part}:", flush=True)
            match part:
                case "clients":
                    clients(program)
                case "page":
                    script("page", "page/page.py", "--inkstone", program)
                case "endurance":
                    script("endurance", "operation/endurance.py", "--short", "--inkstone", program)
                case "mix":
                    mix(program, arguments.count, arguments.device)
    check.end()


if __name__ == "__main__":
    main()
