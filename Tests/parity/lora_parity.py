#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Compare a picture under a LoRA with the one that diffusers and PEFT make, both in f32.

    lora_parity.py [--model Models/emoji-nano] [--inkstone .build/release/inkstone] [--seed 0]

Draws a random LoRA over all attention and feed-forward layers, writes it in several spellings, and
runs the reference pipeline and the engine with each. Prints one line a case; exits with 1 when a
picture is less than 50 dB away from the reference's, or when the LoRA hardly moves it, which would
prove nothing. Needs torch, diffusers, transformers, peft, safetensors and Pillow.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Fixtures"))

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file

import reference_run

LIMIT = 50  # dB
PROMPT = "a red apple on a blue background"
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "w1", "w2", "w3")
RANK = 4


def draw_lora(transformer, seed, strength=0.6):
    """Thin matrices for every target layer: {module: (down, up)}."""
    generator = torch.Generator("cpu").manual_seed(seed)
    pairs = {}
    for name, module in transformer.named_modules():
        if not isinstance(module, torch.nn.Linear) or not name.endswith(TARGETS):
            continue
        rows, depth = module.weight.shape
        down = torch.randn(RANK, depth, generator=generator) / math.sqrt(depth)
        up = torch.randn(rows, RANK, generator=generator) / math.sqrt(RANK)
        # The change has a fixed share of the weight's own size, so that no layer dominates.
        size = module.weight.norm() / (up @ down).norm()
        pairs[name] = (down.contiguous(), (up * size * strength).contiguous())
    return pairs


def files(pairs):
    """The same LoRA in several spellings: {name: (tensors, metadata, strength)}."""
    def named(prefix, down, up, join="."):
        tensors = {}
        for module, (a, b) in pairs.items():
            base = prefix + module.replace(".", join)
            tensors[base + down], tensors[base + up] = a, b
        return tensors

    peft = named("transformer.", ".lora_A.weight", ".lora_B.weight")
    kohya = named("lora_unet_", ".lora_down.weight", ".lora_up.weight", "_")
    for module in pairs:
        kohya[f"lora_unet_{module.replace('.', '_')}.alpha"] = torch.tensor(RANK / 2)
    config = {
        "transformer.r": RANK, "transformer.lora_alpha": RANK // 2,
        "transformer.target_modules": sorted(pairs), "transformer.peft_type": "LORA",
    }
    return {
        "peft": (peft, {}, 1.0),
        "peft, strength -0.7": (peft, {}, -0.7),
        "peft, alpha in metadata": (peft, {"lora_adapter_metadata": json.dumps(config)}, 1.0),
        "diffusion_model": (
            named("diffusion_model.", ".lora_A.weight", ".lora_B.weight"), {}, 0.5),
        "lora_unet with alpha": (kohya, {}, 1.0),
    }


@torch.no_grad()
def reference(pipeline, run, file=None, strength=1.0):
    """Pixels that diffusers makes."""
    if file is not None:
        pipeline.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name="a")
        pipeline.set_adapters(["a"], [strength])
    try:
        return reference_run.run_reference(pipeline, run)["rgb8"].numpy()
    finally:
        if file is not None:
            pipeline.unload_lora_weights()


def engine(program, model, run, folder, file=None, strength=1.0):
    """Pixels that the engine makes, and its report on the LoRA."""
    output = folder / "picture.png"
    command = [
        program, "generate", run["prompt"], "--model", model, "--width", run["width"],
        "--height", run["height"], "--steps", run["steps"], "--guidance-scale",
        run["guidance_scale"], "--seed", run["seed"], "--precision", "f32", "--output", output,
        "--json",
    ]
    if file is not None:
        command += ["--lora", f"{file}:{strength}"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"inkstone ended with status {done.returncode}: {done.stderr.strip()}")
    return numpy.asarray(Image.open(output).convert("RGB")), json.loads(done.stdout)["loras"]


def psnr(a, b):
    """Peak signal to noise ratio of two pictures in dB."""
    error = ((a.astype(float) - b.astype(float)) ** 2).mean()
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def check(arguments, folder):
    """Run all cases. Returns the exit status."""
    run = {
        **reference_run.RUN_DEFAULTS, "prompt": PROMPT, "width": 128, "height": 128, "steps": 8,
        "seed": arguments.seed,
    }
    pipeline = reference_run.load(arguments.model)
    plain = reference(pipeline, run)
    good = True

    def show(name, expected, actual, moved):
        nonlocal good
        distance = psnr(expected, actual)
        passed = distance >= LIMIT and moved < 30
        good &= passed
        print(
            f"{'ok' if passed else 'FAILED':6} {name:26} {distance:6.1f} dB from the reference,"
            f" {moved:5.1f} dB from the picture without it")

    show("without LoRA", plain, engine(arguments.inkstone, arguments.model, run, folder)[0], 0)
    pairs = draw_lora(pipeline.transformer, arguments.seed)
    for name, (tensors, metadata, strength) in files(pairs).items():
        file = folder / "lora.safetensors"
        save_file(tensors, file, metadata={"format": "pt", **metadata})
        expected = reference(pipeline, run, file, strength)
        actual, reports = engine(arguments.inkstone, arguments.model, run, folder, file, strength)
        if reports[0]["matched"] != len(pairs) or reports[0]["unmatched"]:
            print(f"FAILED {name}: {reports[0]}, expected {len(pairs)} layers")
            good = False
        show(name, expected, actual, psnr(expected, plain))
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="Models/emoji-nano")
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inkstone-lora-") as folder:
        return check(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
