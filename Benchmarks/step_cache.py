#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""What step caches save on a model, and what they cost: PSNR against images without one.

    step_cache.py [--model DIR] [--prompts 8] [--steps 28] [--guidance-scale 5] [--size 128] [--threads 1]

Runs diffusers' transformer in f32 in a loop of Euler steps with guidance, whose latents are those of the pipeline, and leaves out
evaluations as each method decides from its own sequence: the first 3 and the last 2 steps are always evaluated, and at most 3 in a
row are left out. The positive prompt decides for both. Prints, for each method and threshold, the share of the block
evaluations that remain, the factor by which they are fewer, and the least, median and largest PSNR of the decoded images.

Needs torch, diffusers, transformers and safetensors.
"""

import argparse
import json
import os
import pathlib
import random
import statistics

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from diffusers import AutoencoderKL, ZImageTransformer2DModel
from transformers import AutoModel, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHOICE = 25  # chooses the prompts
FIRST, LAST, ROW = 3, 2, 3


def features(folder, texts):
    """Features of prompts; the encoder is gone when this returns."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    encoder = AutoModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()
    result = {}
    for text in texts:
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=True)
        ids = tokenizer([chat], return_tensors="pt").input_ids
        result[text] = encoder(input_ids=ids, output_hidden_states=True).hidden_states[-2][0]
    return result


class FirstBlock(torch.nn.Module):
    """Stands in for the layers of the transformer: runs the first and, unless the cache decides otherwise, the rest."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers
        self.residual, self.first, self.decides, self.skips = {}, {}, False, None

    def run(self, x, *arguments, **options):
        branch = self.branch
        y = self.layers[0](x, *arguments, **options)
        first = y - x
        if self.decides:
            known = self.first.get(branch)
            change = ((first - known).abs().mean() / known.abs().mean()).item() if known is not None else 1.0
            self.skips = self.allowed and change <= self.threshold
        if self.skips:
            return y + self.residual[branch]
        self.first[branch] = first
        z = y
        for layer in self.layers[1:]:
            z = layer(z, *arguments, **options)
        self.residual[branch] = z - y
        return z


class Model:
    """One evaluation of the transformer, with the blocks that it takes counted."""

    def __init__(self, folder):
        self.transformer = ZImageTransformer2DModel.from_pretrained(
            folder / "transformer", torch_dtype=torch.float32).eval()
        self.vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval()
        layers = list(self.transformer.layers)
        self.cache = FirstBlock(torch.nn.ModuleList(layers))
        self.refiners = len(self.transformer.noise_refiner)
        self.whole = self.refiners + len(layers)
        self.blocks = 0

        outer = self.cache

        class Once(torch.nn.Module):
            def forward(self, *arguments, **options):
                return outer.run(*arguments, **options)

        self.transformer.layers = torch.nn.ModuleList([Once()])
        self.cache.allowed, self.cache.threshold = False, 0.0

    def __call__(self, x, level, caption, branch):
        self.cache.branch, self.cache.decides = branch, branch == 0
        result = self.transformer([x.unsqueeze(1)], torch.tensor([1 - level]), [caption], return_dict=False)[0]
        self.blocks += self.refiners + 1 if self.cache.skips else self.whole
        return -result[0].squeeze(1)

    def decode(self, x):
        values = x.unsqueeze(0) / self.vae.config.scaling_factor + self.vae.config.shift_factor
        pixels = self.vae.decode(values, return_dict=False)[0][0]
        return ((pixels / 2 + 0.5).clamp(0, 1) * 255).round()


class EasyCache:
    """Skips while the estimated change of the output since the last evaluation is small; see `mode` for what it reuses."""

    def __init__(self, threshold, mode):
        self.threshold, self.mode = threshold, mode
        self.sum, self.rate, self.history = 0.0, None, []

    def skips(self, x, allowed):
        if len(self.history) < 2 or not allowed:
            self.sum = 0.0
            return False
        _, before, outputs = self.history[-1]
        self.sum += self.rate * (x - before).abs().mean().item() / outputs[0].abs().mean().item()
        if self.sum < self.threshold:
            return True
        self.sum = 0.0
        return False

    def record(self, level, x, outputs):
        if self.history:
            _, before, known = self.history[-1]
            moved = (x - before).abs().mean().item()
            self.rate = (outputs[0] - known[0]).abs().mean().item() / max(moved, 1e-9)
        self.history = (self.history + [(level, x, outputs)])[-3:]

    def reuse(self, level, x):
        a, before, outputs = self.history[-1]
        if self.mode == "velocity":
            return outputs
        if self.mode == "offset":
            return [x + output - before for output in outputs]
        b, _, earlier = self.history[-2]
        share = (level - a) / (a - b)
        return [new + share * (new - old) for new, old in zip(outputs, earlier)]


class Interval(EasyCache):
    """Evaluates every k-th step and extrapolates between."""

    def __init__(self, interval, mode):
        super().__init__(interval, mode)
        self.count = 0

    def skips(self, x, allowed):
        self.count = 0 if not allowed or len(self.history) < 2 else (self.count + 1) % self.threshold
        return self.count != 0


def generate(model, positive, negative, noise, levels, guidance, cache=None, first_block=0.0):
    """Latents after the last step, and the evaluations that were left out."""
    x, skipped, row = noise.clone(), 0, 0
    steps = len(levels) - 1
    model.cache.first, model.cache.residual = {}, {}
    for index in range(steps):
        a, b = levels[index], levels[index + 1]
        allowed = FIRST <= index < steps - LAST and row < ROW
        model.cache.allowed, model.cache.threshold = allowed and first_block > 0, first_block
        model.cache.skips = False
        if cache is not None and cache.skips(x, allowed):
            outputs = cache.reuse(a, x)
            row, skipped = row + 1, skipped + 1
        else:
            outputs = [model(x, a, positive, 0), model(x, a, negative, 1)]
            if model.cache.skips:
                row, skipped = row + 1, skipped + 1
            else:
                row = 0
            if cache is not None:
                cache.record(a, x, outputs)
        velocity = outputs[0] + guidance * (outputs[0] - outputs[1])
        x = x + (b - a) * velocity
    return x, skipped


def psnr(a, b):
    error = ((a - b) ** 2).mean().item()
    return 99.0 if error == 0 else min(99.0, 10 * torch.log10(torch.tensor(255.0 ** 2 / error)).item())


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "Models/emoji-nano")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--guidance-scale", type=float, default=5.0)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lines = (ROOT / "Training/evaluation_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    prompts = [row["prompt"] for row in random.Random(CHOICE).sample(
        [json.loads(line) for line in lines], arguments.prompts)]
    texts = features(arguments.model, prompts + [""])
    model = Model(arguments.model)
    shift = json.loads((arguments.model / "scheduler/scheduler_config.json").read_text())["shift"]
    levels = [shift * u / (1 + (shift - 1) * u)
              for u in (1 - index / arguments.steps for index in range(arguments.steps))] + [0.0]
    side = arguments.size // 8
    rows = [("none", 0.0, lambda: {})]
    rows += [("first block", t, lambda t=t: {"first_block": t}) for t in (0.05, 0.08, 0.12, 0.2, 0.3)]
    for mode in ("offset", "velocity", "linear"):
        rows += [(f"easy, {mode}", t, lambda t=t, mode=mode: {"cache": EasyCache(t, mode)})
                 for t in (0.05, 0.1, 0.2, 0.4)]
    rows += [(f"every k-th, {mode}", k, lambda k=k, mode=mode: {"cache": Interval(k, mode)})
             for mode in ("velocity", "linear") for k in (2, 3)]
    whole = {}
    print(f"{arguments.model.name}, {arguments.prompts} prompts, {arguments.steps} steps, guidance "
          f"{arguments.guidance_scale:g}, {arguments.size} pixels")
    print("| Method | Threshold | Steps left out | Times fewer blocks | PSNR: least | median | most |")
    print("|---|---|---|---|---|---|---|")
    for name, threshold, make in rows:
        values, skips, blocks = [], 0, 0
        for seed, prompt in enumerate(prompts):
            noise = torch.randn((16, side, side), generator=torch.Generator().manual_seed(seed))
            model.blocks = 0
            latents, skipped = generate(
                model, texts[prompt], texts[""], noise, levels, arguments.guidance_scale, **make())
            pixels = model.decode(latents)
            whole.setdefault(seed, pixels)
            values.append(psnr(pixels, whole[seed]))
            skips += skipped
            blocks += model.blocks
        every = arguments.prompts * arguments.steps * 2 * model.whole
        print(f"| {name} | {threshold:g} | {skips / arguments.prompts:.1f} | {every / blocks:.2f} | "
              f"{min(values):.1f} | {statistics.median(values):.1f} | {max(values):.1f} |", flush=True)


if __name__ == "__main__":
    main()
