#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Compare the engine with the reference on a new random checkpoint.

    compare_with_reference.py --seed 12 [--inkstone .build/release/inkstone] [--device cpu] [--keep DIR]

Draws a tiny model and a request from the seed, runs the reference pipeline in f32 and
`inkstone generate --trace`, and prints the largest error of every tensor relative to the largest
value of the reference. Exits with 1 when one is above the limit of the precision, with 2 when the
engine fails. Needs the packages of `Tests/Fixtures/tiny_checkpoint.py`.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Fixtures"))

from safetensors.torch import load_file

import reference_run
from tiny_checkpoint import TinyConfig, build

# Relative to the largest value of the reference tensor. A random model is not trained to damp
# rounding, so in the reduced precisions only a stage by stage look is meaningful.
LIMITS = {"f32": 2e-4, "bf16": 5e-2, "int8": 2e-1}
PROMPTS = [
    "a cat sits on the red chair, it's 12 o'clock",
    "一只猫坐在红色的椅子上。",
    "photo of a mountain lake at sunset, 4k, 一只猫",
    "", "x", "  spaces\t tabs \n\n newlines and café naïve",
    "the quick brown fox jumps over the lazy dog!! " * 30,
]


def draw_config(rng):
    """A model of a size that takes seconds, with every dimension free to be odd-looking."""
    head = rng.choice([8, 12, 16, 24, 32])
    heads = rng.choice([1, 2, 3, 5]) if head < 24 else rng.choice([1, 2])
    first = 2 * rng.randint(1, head // 2 - 2)
    second = 2 * rng.randint(1, (head - first) // 2 - 1)
    groups = rng.choice([1, 2, 3])
    text_head = rng.choice([8, 12, 16])
    vae_groups = rng.choice([2, 4])
    return TinyConfig(
        seed=rng.randrange(2**31), dim=head * heads, heads=heads,
        axes=(first, second, head - first - second), layers=rng.randint(1, 4),
        refiners=rng.randint(1, 3), channels=rng.choice([2, 4, 8, 16]),
        vocabulary=rng.randint(270, 420), vocabulary_padding=rng.randint(0, 20),
        text_dim=rng.choice([16, 24, 32, 48]), text_ffn=rng.choice([40, 64, 96]),
        text_layers=rng.randint(2, 4), text_heads=groups * rng.choice([1, 2, 4]),
        text_kv_heads=groups, text_head_dim=text_head,
        vae_channels=tuple(vae_groups * rng.randint(1, 4) for _ in range(4)),
        vae_layers=rng.randint(1, 2), vae_groups=vae_groups,
        shift=rng.choice([1.0, 3.0, 6.0]), dynamic_shift=rng.random() < 0.2,
        store=rng.choice(["float32", "bfloat16", "float16"]),
        shard=rng.choice([None, None, "80KB"]),
        text_naming=rng.choice(["released", "modern"]),
        tokenizer_files=rng.choice(["all", "vocabulary", "modern"]),
    )


def draw_run(rng):
    guided = rng.random() < 0.6
    return {
        **reference_run.RUN_DEFAULTS, "name": "random", "prompt": rng.choice(PROMPTS),
        "negative_prompt": rng.choice(["", "lazy dog", "模糊"]) if guided else "",
        "width": 16 * rng.randint(2, 9), "height": 16 * rng.randint(2, 9),
        "steps": rng.choice([1, 2, 3, 5, 8]), "seed": rng.choice([0, 7, 42, rng.randrange(2**32)]),
        "guidance_scale": rng.choice([1.0, 2.5, 5.0]) if guided else 0.0,
        "cfg_normalization": rng.choice([0.0, 0.8]) if guided else 0.0,
        "cfg_truncation": rng.choice([1.0, 0.5]) if guided else 1.0,
    }


def engine_command(program, checkpoint, run, precision, device, folder):
    """The command line that asks the engine for the same picture."""
    command = [
        program, "generate", run["prompt"], "--model", str(checkpoint),
        "--width", run["width"], "--height", run["height"], "--steps", run["steps"],
        "--guidance-scale", run["guidance_scale"], "--seed", run["seed"],
        "--precision", precision, "--device", device, "--trace", folder / "trace.safetensors",
        "--output", folder / "picture.png", "--json",
    ]
    if run["guidance_scale"] > 0:
        command += ["--negative-prompt", run["negative_prompt"],
                    "--cfg-normalization", run["cfg_normalization"],
                    "--cfg-truncation", run["cfg_truncation"]]
    return [str(word) for word in command]


def compare(reference, trace, limit):
    """Print a line a tensor; true when the engine gave all of them within the limit."""
    good, worst = True, 0.0
    for name, expected in reference.items():
        if name.startswith("trace."):
            continue  # the engine's trace has no stages inside the transformer
        if name not in trace:
            print(f"  {name:24s} MISSING")
            good = False
            continue
        value = trace[name]
        if value.numel() != expected.numel():
            print(f"  {name:24s} SHAPE {list(value.shape)}, expected {list(expected.shape)}")
            good = False
            continue
        difference = (value.reshape(expected.shape).double() - expected.double()).abs().max().item()
        if name.endswith("input_ids"):
            error, passed = difference, difference == 0
        elif name == "rgb8":
            # One level for rounding, more where the precision itself moves the picture.
            error, passed = difference, difference <= max(1, math.ceil(255 * limit / 2))
        else:
            error = difference / max(expected.abs().max().item(), 1e-12)
            passed = error <= limit  # false for NaN too
            worst = max(worst, error) if error == error else math.inf
        good &= passed
        print(f"  {name:24s} {error:9.2g} {'' if passed else 'TOO LARGE'}")
    print(f"{'ok' if good else 'FAILED'}: largest relative error {worst:.1e}, limit {limit:g}")
    return good


def check(arguments, folder):
    """Build, run both, compare. Returns the exit status."""
    rng = random.Random(arguments.seed)
    config, run = draw_config(rng), draw_run(rng)
    print(f"seed {arguments.seed}")
    print("  model " + json.dumps(dataclasses.asdict(config)))
    print("  run   " + json.dumps(run, ensure_ascii=False))
    checkpoint = folder / "checkpoint"
    build(config, checkpoint)
    reference = reference_run.run_reference(reference_run.load(checkpoint), run)
    if arguments.dry_run:
        print(f"{len(reference)} reference tensors; compared with themselves:")
        return 0 if compare(reference, reference, 0) else 1
    command = engine_command(
        arguments.inkstone, checkpoint, run, arguments.precision, arguments.device, folder)
    print("  " + " ".join(repr(w) if " " in w or not w else w for w in command)[:400])
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except FileNotFoundError:
        print(f"no program at {arguments.inkstone}; build it or name it with --inkstone")
        return 2
    if done.returncode:
        print(f"inkstone ended with status {done.returncode}: {done.stderr.strip()[-2000:]}")
        return 2
    trace = load_file(folder / "trace.safetensors")
    return 0 if compare(reference, trace, LIMITS[arguments.precision]) else 1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--precision", default="f32", choices=list(LIMITS))
    parser.add_argument("--device", default="cpu", help="cpu, vulkan or vulkan:GPU")
    parser.add_argument("--keep", type=pathlib.Path, help="folder to leave the files in")
    parser.add_argument("--dry-run", action="store_true", help="the reference half alone")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        return check(arguments, arguments.keep)
    with tempfile.TemporaryDirectory(prefix="inkstone-parity-") as folder:
        return check(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
