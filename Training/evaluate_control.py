#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Measure how well pictures follow a map of edges.

    evaluate_control.py MODEL --inkstone PROGRAM [--net edges] [--count 200] [--side 128] [--precision auto]
                        [--scenes aligned] [--strength 1] [--lora FILE] [--json FILE] [--grid FILE]

Draws scenes that training never saw, each from its prompt with the map of its edges, and from its prompt alone;
seeds 0, 1, 2, ... Things are on the grid of tokens in sizes of the world, but not where the world has them, or
with `--scenes free` anywhere, in free sizes, half of them mirrored. The prompt does not say where. Canny's
edges of each result (thresholds 100 and 200, as the map's) are compared with the map: intersection over
union of both, each dilated by one pixel, and of the bare lines. Maps have edges on 1 % of their pixels at
least. The ceiling is what the true pictures keep of their edges on their way through the autoencoder.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw

from evaluate import caption_font, caption_lines
from nano import control, edges, world
from nano.autoencoder import decode, encode, to_pictures, to_tensor
from nano.tokenizer import Prompts

SEED = "control evaluation"
GRID_SCENES = 12


def drawn(arguments, prompts, folder, maps=None):
    """uint8 pictures by `inkstone generate`, one process a picture."""
    pictures = []
    for seed, prompt in enumerate(prompts):
        path = folder / "picture.png"
        command = [arguments.inkstone, "generate", prompt, "--model", arguments.model, "--quiet", "--seed",
                   str(seed), "--width", str(arguments.side), "--height", str(arguments.side),
                   "--precision", arguments.precision, "--output", path]
        if maps is not None:
            Image.fromarray(maps[seed]).save(folder / "map.png")
            command += ["--control", f"net={arguments.net},image={folder / 'map.png'},"
                                     f"strength={arguments.strength}"]
        for file in arguments.lora:
            command += ["--lora", file]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        pictures.append(np.asarray(Image.open(path).convert("RGB")))
    return np.stack(pictures)


@torch.no_grad()
def through_autoencoder(folder, pictures):
    model = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval()
    parts = to_tensor(pictures).split(16)
    return np.concatenate([to_pictures(decode(model, encode(model, part))) for part in parts])


def statistics(values):
    generator = np.random.default_rng(0)
    means = [generator.choice(values, len(values)).mean() for _ in range(2000)]
    low, high = np.quantile(means, (0.025, 0.975))
    return {"mean": values.mean(), "low": low, "high": high, "median": np.median(values),
            "least": values.min(), "of_at_least_0.6": (values >= 0.6).mean()}


def compared(wanted, pictures):
    """Agreement by tolerance."""
    found = edges.canny(pictures)
    return {name: {key: round(float(value), 4) for key, value in statistics(values).items()}
            for name, values in (("dilated", edges.agreement(wanted, found)),
                                 ("bare", edges.agreement(wanted, found, reach=0)))}


def save_grid(path, prompts, maps, controlled, plain, columns=6):
    """Maps, below them the pictures that follow them, and below these the pictures without, with their prompts."""
    side, foot, gap = maps.shape[1], 34, 6
    count = min(len(prompts), GRID_SCENES)
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * (side + gap), rows * (3 * side + foot + gap)), "white")
    drawing, font = ImageDraw.Draw(sheet), caption_font()
    for i in range(count):
        x, y = i % columns * (side + gap) + gap // 2, i // columns * (3 * side + foot + gap)
        for row, pictures in enumerate((maps, controlled, plain)):
            sheet.paste(Image.fromarray(pictures[i]), (x, y + row * side))
        for n, line in enumerate(caption_lines(drawing, font, prompts[i], side)):
            drawing.text((x, y + 3 * side + 2 + 14 * n), line, fill="black", font=font)
    sheet.save(path, optimize=True)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--inkstone", type=pathlib.Path, required=True, help="the program to draw with")
    parser.add_argument("--net", default="edges", help="name or path of the net")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--side", type=int, default=128, choices=world.SIDES)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--scenes", choices=("aligned", "free"), default="aligned")
    parser.add_argument("--strength", type=float, default=1)
    parser.add_argument("--lora", action="append", default=[], help="a style, with :SCALE if not 1")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--grid", type=pathlib.Path, help="write a sheet of the first maps and pictures")
    return parser.parse_args()


def main():
    arguments = parse()
    rng, tokens = random.Random(f"{SEED} {arguments.side}"), Prompts(arguments.model / "tokenizer")
    prompts, truth, wanted = control.mapped_scenes(
        rng, arguments.side, tokens, arguments.count, {arguments.scenes: 1})
    maps = edges.as_pictures(wanted)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        controlled = drawn(arguments, prompts, folder, maps)
        plain = drawn(arguments, prompts, folder)
    result = {name: compared(wanted, pictures) for name, pictures in (
        ("with control", controlled), ("without", plain),
        ("true pictures through the autoencoder", through_autoencoder(arguments.model, truth)))}
    print(f"{arguments.count} {arguments.scenes} maps, {arguments.side} pixels, {arguments.precision}, strength "
          f"{arguments.strength:g}")
    for name, table in result.items():
        for kind, row in table.items():
            print(f"  {name:40} {kind:8} {row['mean']:.3f} ({row['low']:.3f}-{row['high']:.3f}), median "
                  f"{row['median']:.3f}, at least 0.6 in {100 * row['of_at_least_0.6']:.1f} %")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.grid:
        save_grid(arguments.grid, prompts, maps, controlled, plain)


if __name__ == "__main__":
    main()
