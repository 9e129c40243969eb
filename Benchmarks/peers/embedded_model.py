#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Pictures per second of the embedded model: diffusers against inkstone, on this machine.

    embedded_model.py [--settings 8:0,28:4] [--pictures 8] [--rounds 5] [--inkstone PATH]
                      [--precisions auto] [--isa avx2] [--url http://127.0.0.1:9997]

All contenders draw pictures of 128 pixels, one at a time, picture to picture in one process, warm;
a setting is steps:guidance. They take turns inside every round, so that a slow minute of the machine
hits all of them; the ratio is taken round by round. Diffusers runs in bf16 and f32, each with the
thread count that was fastest in a trial. Other load on the machine spoils both the figures and that
choice, so the load averages before and after are printed with the result. Every contender reads
every prompt: `inkstone generate` runs without its prompt cache and is measured by its own report,
without the first picture (its process is started again in each round); a running server (`--url`) receives
a new prompt each time and is measured by the client's clock.

--isa avx2 restricts all of them to AVX2, as compare_block.py does; a server is restricted by who starts it. Diffusers
takes part in f32 alone then: without instructions for bf16, torch needs twenty times as long in it.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from compare_block import RESTRICTED

os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROMPT = "a red apple on a blue background"
SIZE = 128


class Diffusers:
    """The reference pipeline in one precision; torch is imported only when it takes part."""

    def __init__(self, model, precision, threads, setting):
        import torch
        from diffusers import ZImagePipeline
        self.torch, self.precision, self.name = torch, precision, f"diffusers {precision}"
        self.steps, self.guidance = setting
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
        self.pipeline = ZImagePipeline.from_pretrained(model, torch_dtype=dtype)
        self.pipeline.set_progress_bar_config(disable=True)
        trials = {}
        for count in threads:
            torch.set_num_threads(count)
            self.draw(0)
            trials[count] = min(self.draw(i) for i in range(3))
        self.threads = min(trials, key=trials.get)
        self.name += f", {self.threads} threads"

    def draw(self, seed):
        """Seconds of one picture."""
        start = time.perf_counter()
        self.pipeline(prompt=PROMPT, height=SIZE, width=SIZE, num_inference_steps=self.steps,
                      guidance_scale=self.guidance,
                      generator=self.torch.Generator("cpu").manual_seed(seed))
        return time.perf_counter() - start

    def round(self, pictures):
        self.torch.set_num_threads(self.threads)
        self.draw(0)
        return [self.draw(seed) for seed in range(pictures)]


class CommandLine:
    """`inkstone generate --count N --json`: the seconds of every picture but the first."""

    def __init__(self, program, model, precision, setting):
        self.program, self.model, self.precision = program, model, precision
        self.steps, self.guidance = setting
        self.name = f"inkstone generate, {precision}"

    def round(self, pictures):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [self.program, "generate", PROMPT, "--model", str(self.model), "--width", str(SIZE),
                 "--height", str(SIZE), "--steps", str(self.steps), "--guidance-scale",
                 str(self.guidance), "--seed", "0", "--count", str(pictures + 1), "--precision",
                 self.precision, "--no-prompt-cache", "--json", "--quiet", "--output",
                 f"{folder}/picture.png"],
                capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"inkstone ended with {done.returncode}: {done.stderr.strip()}")
        report = json.loads(done.stdout)
        self.name = f"inkstone generate, {report['precision']}, {report['threads']} threads"
        return [image["seconds"]["total"] for image in report["images"][1:]]


class Server:
    """A running server, one request after the other, by this program's clock."""

    def __init__(self, url, model, setting):
        self.url, self.model, self.name = url.rstrip("/"), model, "inkstone serve, HTTP"
        self.steps, self.guidance = setting
        self.prompts = itertools.count()

    def draw(self, seed):
        body = {"model": self.model, "prompt": f"{PROMPT}, number {next(self.prompts)}", "n": 1,
                "size": f"{SIZE}x{SIZE}", "response_format": "b64_json", "seed": seed,
                "num_inference_steps": self.steps, "guidance_scale": self.guidance}
        request = urllib.request.Request(
            self.url + "/v1/images/generations", json.dumps(body).encode(),
            {"Content-Type": "application/json"})
        start = time.perf_counter()
        with urllib.request.urlopen(request, timeout=120) as response:
            reply = json.load(response)
        seconds = time.perf_counter() - start
        if not reply["data"][0].get("b64_json"):
            raise SystemExit(f"the server sent no picture: {str(reply)[:200]}")
        return seconds

    def round(self, pictures):
        self.draw(0)
        return [self.draw(seed) for seed in range(pictures)]


def compare(arguments, setting):
    """One setting: rounds, figures and ratios; returns all seconds by contender."""
    load_before = os.getloadavg()[0]
    threads = [int(v) for v in arguments.threads.split(",")]
    wanted = lambda name: not arguments.only or any(
        name.startswith(w.strip()) for w in arguments.only.split(","))
    contenders = [Diffusers(arguments.model, p, threads, setting) for p in (["f32"] if arguments.isa else ["bf16", "f32"])
                  if wanted(f"diffusers {p}")]
    if wanted("inkstone generate"):
        contenders += [CommandLine(arguments.inkstone, arguments.model, p, setting)
                       for p in arguments.precisions.split(",")]
    if arguments.url:
        contenders.append(Server(arguments.url, arguments.model.name, setting))

    seconds = {c: [] for c in contenders}
    for index in range(arguments.rounds):
        # Alternate the order so that no contender always follows the same one.
        for contender in contenders if index % 2 == 0 else contenders[::-1]:
            seconds[contender].append(contender.round(arguments.pictures))
        print(f"round {index + 1} of {arguments.rounds}", file=sys.stderr, flush=True)

    steps, guidance = setting
    print(f"{SIZE}x{SIZE}, {steps} steps, guidance {guidance:g}, {len(os.sched_getaffinity(0))} cores; "
          f"{arguments.rounds} rounds of {arguments.pictures} pictures; load average "
          f"{load_before:.1f} before, {os.getloadavg()[0]:.1f} after")
    print(f"{'':34s} {'ms/picture':>10s} {'pictures/s':>10s} {'(rounds)':>17s}")
    rates = {c: [len(r) / sum(r) for r in rounds] for c, rounds in seconds.items()}
    for contender, values in rates.items():
        median = statistics.median(values)
        print(f"{contender.name:34s} {1000 / median:10.1f} {median:10.3f} "
              f"{min(values):8.3f} {max(values):8.3f}")
    references = [c for c in contenders if isinstance(c, Diffusers)]
    for contender in contenders:
        for reference in references if contender not in references else []:
            ratios = [a / b for a, b in zip(rates[contender], rates[reference])]
            print(f"{contender.name} / {reference.name}: {statistics.median(ratios):.2f} times "
                  f"({min(ratios):.2f} to {max(ratios):.2f} over rounds)")
    return {c.name: v for c, v in seconds.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "Models" / "emoji-nano")
    parser.add_argument("--inkstone", default=str(ROOT / ".build" / "release" / "inkstone"))
    parser.add_argument("--precisions", default="auto", help="of inkstone, e.g. f32,bf16,int8")
    parser.add_argument("--url", help="also measure this server; it must serve the model")
    parser.add_argument("--settings", default="8:0,28:4", help="steps:guidance, with commas between")
    parser.add_argument("--pictures", type=int, default=8, help="a round and contender")
    parser.add_argument("--rounds", type=int, default=5)
    cores = len(os.sched_getaffinity(0))
    counts = sorted({1, max(cores // 2, 1), cores})
    parser.add_argument("--threads", default=",".join(map(str, counts)),
                        help="thread counts tried for diffusers")
    parser.add_argument("--only", help="comma-separated beginnings of contenders' names")
    parser.add_argument("--isa", choices=["avx2"])
    parser.add_argument("--json", type=pathlib.Path, help="write all seconds here")
    arguments = parser.parse_args()
    if arguments.isa:
        os.environ.update(RESTRICTED)  # torch and inkstone are started after it
    results = {}
    for text in arguments.settings.split(","):
        steps, guidance = text.split(":")
        results[text] = compare(arguments, (int(steps), float(guidance)))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
