#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""How far pictures of a smaller precision are from those of f32: PSNR over a fixed choice of prompts.

    precision_psnr.py [--precision int8] [--prompts 50] [--inkstone PATH] [--model DIR] [--steps 8]
                      [--size 128] [--device cpu] [--guidance-scale 0] [--median 30] [--least 25] [--json FILE]

Draws the same prompts from the same seeds in both precisions with `inkstone generate` and prints the
distribution. Ends with status 1 where the median or the least picture is below its bound.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

import numpy
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHOICE = 2026  # chooses the prompts


def draw(arguments, prompt, seed, precision, path):
    """The picture as numbers."""
    command = [
        arguments.inkstone, "generate", prompt, "--model", arguments.model, "--width",
        str(arguments.size), "--height", str(arguments.size), "--steps", str(arguments.steps),
        "--guidance-scale", str(arguments.guidance_scale), "--seed", str(seed), "--precision",
        precision, "--device", arguments.device, "--quiet", "--output", str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return numpy.asarray(Image.open(path).convert("RGB")).astype(numpy.float64)


def psnr(a, b):
    """Decibels; 99 where the pictures are equal."""
    error = ((a - b) ** 2).mean()
    return min(99.0, 10 * numpy.log10(255 ** 2 / error)) if error else 99.0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=str(ROOT / ".build/release/inkstone"))
    parser.add_argument("--model", default=str(ROOT / "Models/emoji-nano"))
    parser.add_argument("--precision", default="int8", choices=["int8", "bf16"])
    parser.add_argument("--device", default="cpu", help="cpu, vulkan or vulkan:GPU")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--guidance-scale", type=float, default=0.0)
    parser.add_argument("--median", type=float, default=30.0, help="bound in dB")
    parser.add_argument("--least", type=float, default=25.0, help="bound in dB")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    lines = (ROOT / "Training/evaluation_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = random.Random(CHOICE).sample([json.loads(line) for line in lines], arguments.prompts)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "picture.png"
        for seed, row in enumerate(rows):
            exact = draw(arguments, row["prompt"], seed, "f32", path)
            results.append(psnr(draw(arguments, row["prompt"], seed, arguments.precision, path), exact))
    median, least = statistics.median(results), min(results)
    deciles = statistics.quantiles(results, n=10)
    print(f"{arguments.precision} against f32, {len(rows)} prompts, {arguments.size} pixels, "
          f"{arguments.steps} steps, guidance {arguments.guidance_scale:g}")
    print(f"  least {least:.1f} dB, tenth {deciles[0]:.1f}, median {median:.1f}, "
          f"nine tenths {deciles[8]:.1f}, most {max(results):.1f}")
    for value, seed in sorted(zip(results, range(len(rows))))[:5]:
        print(f"  {value:5.1f} dB: seed {seed}, {rows[seed]['prompt']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results) + "\n")
    if median < arguments.median or least < arguments.least:
        print(f"below the bounds: median {arguments.median:g} dB, least {arguments.least:g} dB")
        sys.exit(1)


if __name__ == "__main__":
    main()
