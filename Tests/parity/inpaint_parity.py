#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Compare inpainting with diffusers' own pipeline, both in f32.

    inpaint_parity.py [--inkstone .build/release/inkstone] [--seed 0]

Draws on random small models and on random masks (halves, rings, grey ramps, of the picture's size and of
others), with and without guidance, at several strengths. Compares initial latents, every step and the
decoded picture; exits with 1 when a relative error exceeds 1e-4. Needs torch, diffusers, transformers.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Fixtures"))

import numpy
import torch
from diffusers import ZImageInpaintPipeline
from PIL import Image
from safetensors.torch import load_file

import reference_run
import tiny_checkpoint

LIMIT = 1e-4
# Name, mask, its size, strength, guidance, steps.
CASES = [
    ("half, whole strength", "half", (96, 80), 1.0, 0.0, 4),
    ("ring, strength 0.6", "ring", (96, 80), 0.6, 0.0, 5),
    ("half, guided", "half", (96, 80), 0.8, 3.0, 4),
    ("grey ramp", "ramp", (96, 80), 1.0, 0.0, 3),
    ("ring of another size", "ring", (50, 33), 1.0, 0.0, 3),
    ("ramp of a larger size", "ramp", (300, 211), 0.7, 2.0, 4),
    ("nothing is drawn", "black", (96, 80), 1.0, 0.0, 3),
    ("all is drawn", "white", (96, 80), 1.0, 0.0, 3),
]


def make_mask(kind, size):
    width, height = size
    y, x = numpy.mgrid[0:height, 0:width]
    distance = numpy.hypot(x - width / 2, y - height / 2)
    values = {
        "half": numpy.where(x < width * 0.45, 255, 0),
        "ring": numpy.where(abs(distance - height * 0.3) < height * 0.12, 255, 0),
        "ramp": 255 * (x + y) // (width + height),
        "black": numpy.zeros((height, width)), "white": numpy.full((height, width), 255),
    }[kind]
    return Image.fromarray(values.astype(numpy.uint8), "L")


@torch.no_grad()
def reference(pipeline, image, mask, width, height, strength, guidance, steps, seed):
    kept = []

    def keep(_, index, timestep, values):
        kept.append(values["latents"].clone())
        return {}

    picture = pipeline(
        prompt="a cat", negative_prompt="a chair", image=image, mask_image=mask, width=width,
        height=height, strength=strength, num_inference_steps=steps, guidance_scale=guidance,
        generator=torch.Generator("cpu").manual_seed(seed), output_type="np",
        callback_on_step_end=keep).images[0]
    return torch.cat(kept), torch.from_numpy((picture * 255).round()).to(torch.uint8)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    good = True
    width, height = 96, 80
    with tempfile.TemporaryDirectory(prefix="inkstone-inpaint-") as name:
        folder = pathlib.Path(name)
        tiny_checkpoint.build(
            tiny_checkpoint.TinyConfig(seed=arguments.seed, store="float32"), folder / "model")
        parts = reference_run.load(folder / "model").components
        pipeline = ZImageInpaintPipeline(**parts)
        pipeline.set_progress_bar_config(disable=True)
        image = Image.fromarray(reference_run.make_image(width, height))
        image.save(folder / "image.png")
        for title, kind, size, strength, guidance, steps in CASES:
            mask = make_mask(kind, size)
            mask.save(folder / "mask.png")
            latents, picture = reference(
                pipeline, image, mask, width, height, strength, guidance, steps, arguments.seed)
            command = [
                arguments.inkstone, "generate", "a cat", "--negative-prompt", "a chair", "--model",
                folder / "model", "--image", folder / "image.png", "--mask", folder / "mask.png",
                "--strength", strength, "--width", width, "--height", height, "--steps", steps,
                "--guidance-scale", guidance, "--seed", arguments.seed, "--precision", "f32",
                "--trace", folder / "trace.safetensors", "--output", folder / "picture.png",
                "--quiet",
            ]
            done = subprocess.run([str(w) for w in command], capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"inkstone ended with status {done.returncode}: {done.stderr.strip()}")
            trace = load_file(folder / "trace.safetensors")
            error = ((trace["latents"].view_as(latents) - latents).abs().max()
                     / latents.abs().max()).item()
            levels = (trace["rgb8"].view_as(picture).int() - picture.int()).abs().max().item()
            passed = error <= LIMIT and levels <= 1
            good &= passed
            print(f"{'ok' if passed else 'FAILED':6} {title:24} latents {error:.1e},"
                  f" pixels {levels} levels away")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
