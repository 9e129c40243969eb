#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""One step of a real-size model: the engine against diffusers in bf16, and the engine's memory.

    Benchmarks/peers/random_full_checkpoint.py /big/full     # once, 20 GB
    full_size_step.py /big/full [--size 256] [--inkstone PATH] [--precision bf16]

Text features, raw transformer output and latents are compared, each error relative to the largest
value of the reference; latents decide (3e-2). While the engine runs, its anonymous resident memory
is sampled (mapped checkpoint pages do not count, packed weights do) and must stay below 14 GB. The
reference is run part after part, so 16 GB of memory are enough for it.
"""

import argparse
import gc
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from safetensors.torch import load_file, save_file

PROMPT = "photo of a mountain lake at sunset, 一只猫坐在红色的椅子上"
LIMIT = 3e-2
LIMIT_GB = 14.0


def text_features(folder):
    """Features of the prompt in bf16; the encoder is gone when this returns."""
    from transformers import AutoTokenizer, Qwen3Model
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": PROMPT}], tokenize=False, add_generation_prompt=True,
        enable_thinking=True)
    ids = tokenizer([chat], return_tensors="pt").input_ids
    encoder = Qwen3Model.from_pretrained(folder / "text_encoder", dtype=torch.bfloat16).eval()
    hidden = encoder(input_ids=ids, output_hidden_states=True).hidden_states[-2][0]
    return ids[0].to(torch.int32), hidden


def one_step(folder, features, noise, size):
    """The reference pipeline for one step, without its text encoder and decoder."""
    from diffusers import (
        FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel)
    transformer = ZImageTransformer2DModel.from_pretrained(
        folder / "transformer", torch_dtype=torch.bfloat16).eval()
    raw, forward = [], transformer.forward

    def spy(*args, **kwargs):
        output = forward(*args, **kwargs)
        samples = output[0] if isinstance(output, tuple) else output.sample
        raw.append(torch.stack([s.float() for s in samples]))
        return output

    transformer.forward = spy
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")
    pipeline = ZImagePipeline(scheduler=scheduler, vae=None, text_encoder=None, tokenizer=None,
                              transformer=transformer)
    start = time.perf_counter()
    latents = pipeline(
        prompt=None, prompt_embeds=[features], height=size, width=size, num_inference_steps=1,
        guidance_scale=0.0, latents=noise.clone(), output_type="latent").images
    print(f"reference step: {time.perf_counter() - start:.1f} s")
    return raw[0], latents


def reference(folder, noise, size):
    """All reference tensors; holds one part of the model at a time."""
    torch.set_grad_enabled(False)
    ids, features = text_features(folder)
    gc.collect()
    raw, latents = one_step(folder, features, noise, size)
    gc.collect()
    return {"pos.input_ids": ids, "pos.text_features": features.float(),
            "transformer_out.0": raw, "latents": latents.float()}


def anonymous_gigabytes(pid):
    """RssAnon of a process, or None once it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024 / 1e9
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def run_engine(command, log):
    """Run to the end while sampling memory. Returns status, peak GB and seconds."""
    peak, start = 0.0, time.perf_counter()
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, anonymous_gigabytes(process.pid) or 0.0)
            time.sleep(0.05)
    return process.returncode, peak, time.perf_counter() - start


def compare(expected, trace):
    """Print an error a tensor; the error of the latents, or infinity."""
    decisive = float("inf")
    for name, value in expected.items():
        if name not in trace or trace[name].numel() != value.numel():
            print(f"  {name:20s} missing, or of another size")
            continue
        difference = (trace[name].reshape(value.shape).double() - value.double()).abs()
        error = difference.max().item() / value.abs().max().item()
        mean = (difference.pow(2).mean() / value.double().pow(2).mean()).sqrt().item()
        print(f"  {name:20s} largest {error:.2e}, root mean square {mean:.2e}")
        if name == "latents":
            decisive = error
    return decisive


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=pathlib.Path,
                        help="folder for the reference; a later run with it skips that half")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inkstone-step-") as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / f"reference-{arguments.size}-{arguments.seed}.safetensors"
        if not kept.exists():
            side = arguments.size // 8
            noise = torch.randn((1, 16, side, side),
                                generator=torch.Generator("cpu").manual_seed(arguments.seed))
            tensors = reference(arguments.checkpoint, noise, arguments.size)
            tensors["latents.init"] = noise
            save_file({k: v.contiguous() for k, v in tensors.items()}, kept)
            del tensors
            gc.collect()
        command = [
            arguments.inkstone, "generate", PROMPT, "--model", arguments.checkpoint, "--width",
            arguments.size, "--height", arguments.size, "--steps", 1, "--guidance-scale", 0,
            "--seed", arguments.seed, "--precision", arguments.precision, "--latents", kept,
            "--trace", folder / "trace.safetensors", "--output", folder / "picture.png", "--json"]
        status, peak, seconds = run_engine([str(w) for w in command], folder / "inkstone.log")
        if status:
            print(f"inkstone ended with {status}: {(folder / 'inkstone.log').read_text()[-2000:]}")
            return 2
        print(f"inkstone {arguments.precision}: {seconds:.1f} s with loading, "
              f"{peak:.2f} GB of anonymous memory at most (limit {LIMIT_GB:g})")
        error = compare(load_file(kept), load_file(folder / "trace.safetensors"))
        good = error <= LIMIT and peak < LIMIT_GB
        print(f"{'ok' if good else 'FAILED'}: latents differ by {error:.2e}, limit {LIMIT:g}")
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
