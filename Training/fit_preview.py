#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Fit the linear preview of a model: a colour for every latent pixel, without the decoder.

    fit_preview.py Models/emoji-nano [--pictures 100]

Draws pictures with the reference pipeline, decodes their final latents and the predictions of the
clean latents at some earlier steps, averages the decoded pixels over the 8x8 square of each latent
pixel, and solves `rgb = bias + sum(latent[c] * factors[c])` by least squares. Decoded values lie in
-1...1, so a preview shows `(rgb + 1) / 2`. Writes `preview` into the model's `inkstone.json` and
prints R^2 on pictures that were not used for the fit.
"""

import argparse
import os
import pathlib
import random

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import torch.nn.functional as F
from diffusers import ZImagePipeline

from nano import manifest, prompts

STEPS = 8
KEPT_STEPS = (1, 3, 5, 7)  # the last is the finished picture; earlier ones are its blurred forms


def make_prompts(count):
    rng = random.Random("preview")
    return [prompts.training_caption(prompts.training_scene(rng, 128), rng)[0] for _ in range(count)]


@torch.no_grad()
def collect(pipeline, prompts, size, batch=10):
    """Pairs of latent pixels `[n, C]` and pooled colours `[n, 3]`, one pair of tensors a prompt."""
    latents_of, colours_of = [], []
    for start in range(0, len(prompts), batch):
        part = prompts[start:start + batch]
        clean, previous = [], {}

        def keep(pipe, index, timestep, values):
            # The update is linear, so the predicted clean latents follow from two neighbours.
            sigmas, now = pipe.scheduler.sigmas, values["latents"]
            velocity = (now - previous["x"]) / (sigmas[index + 1] - sigmas[index])
            if index in KEPT_STEPS:
                clean.append(now - sigmas[index + 1] * velocity)
            previous["x"] = now
            return {}

        shape = (len(part), pipeline.transformer.config.in_channels, size // 8, size // 8)
        previous["x"] = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(start))
        pipeline(prompt=list(part), height=size, width=size, num_inference_steps=STEPS,
                 guidance_scale=0.0, latents=previous["x"].clone(), output_type="latent",
                 callback_on_step_end=keep)
        vae = pipeline.vae
        for latents in clean:
            decoded = vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor,
                                 return_dict=False)[0].clamp(-1, 1)
            latents_of.append(latents.permute(0, 2, 3, 1))
            colours_of.append(F.avg_pool2d(decoded, 8).permute(0, 2, 3, 1))
    steps, channels = len(KEPT_STEPS), latents_of[0].shape[-1]
    groups = range(0, len(latents_of), steps)
    return [(torch.stack(latents_of[g:g + steps], 1), torch.stack(colours_of[g:g + steps], 1))
            for g in groups], channels


def solve(latents, colours):
    """Least squares with a constant column: `[C + 1, 3]`, the bias last."""
    ones = torch.ones(len(latents), 1, dtype=torch.float64)
    matrix = torch.cat([latents.double(), ones], 1)
    return torch.linalg.lstsq(matrix, colours.double()).solution


def r_squared(solution, latents, colours):
    fitted = latents.double() @ solution[:-1] + solution[-1]
    residual = (colours - fitted).pow(2).sum()
    return 1 - (residual / (colours - colours.mean(0)).pow(2).sum()).item()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--pictures", type=int, default=100)
    arguments = parser.parse_args()
    path = arguments.model / "inkstone.json"
    description = manifest.read(path)
    pipeline = ZImagePipeline.from_pretrained(arguments.model, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    groups, channels = collect(pipeline, make_prompts(arguments.pictures), description["defaults"]["width"])
    latents = torch.cat([g[0] for g in groups])  # [pictures, steps, h, w, C]
    colours = torch.cat([g[1] for g in groups])
    held_out = max(len(latents) // 5, 1)
    flat = lambda t: t.reshape(-1, t.shape[-1])
    solution = solve(flat(latents[held_out:]), flat(colours[held_out:]))
    for position, step in enumerate(KEPT_STEPS):
        score = r_squared(solution, flat(latents[:held_out, position]),
                          flat(colours[:held_out, position]))
        print(f"after step {step + 1}: R^2 {score:.4f} on {held_out} held-out pictures")
    overall = r_squared(solution, flat(latents[:held_out]), flat(colours[:held_out]))
    print(f"all: R^2 {overall:.4f}; {arguments.pictures - held_out} pictures fitted, "
          f"{channels} channels")
    rounded = [[round(v, 5) for v in row] for row in solution.tolist()]
    description["preview"] = {"factors": rounded[:-1], "bias": rounded[-1]}
    manifest.write(path, description)


if __name__ == "__main__":
    main()
