#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Compare `inkstone lora merge` with PEFT's own merge, on adapters that PEFT saved.

    peft_adapters.py [--inkstone .build/release/inkstone] [--seed 0]

Adapters with random weights on a tiny transformer, with alpha unlike the rank, a root of the rank, and patterns for both.
Each is saved by PEFT as a folder, loaded and merged by PEFT, and merged by inkstone in f32, from the folder and from its
file. Weights may differ by 2e-6 of the largest. Prints one line a case; exits with 1 when one fails, or when an adapter
applied at alpha = rank would have passed as well. Needs torch, diffusers, transformers, peft and safetensors.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Fixtures"))

import torch
from diffusers import ZImageTransformer2DModel
from peft import LoHaConfig, LoKrConfig, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

import tiny_checkpoint

LIMIT = 2e-6
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "w1", "w2", "w3"]

CASES = {
    "alpha above the rank": LoraConfig(r=4, lora_alpha=16, target_modules=TARGETS),
    "alpha below the rank": LoraConfig(r=8, lora_alpha=2, target_modules=TARGETS),
    "root of the rank": LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=TARGETS),
    "patterns": LoraConfig(
        r=4, lora_alpha=8, target_modules=TARGETS, rank_pattern={"to_q": 2, "layers.1.feed_forward.w1": 3},
        alpha_pattern={"to_q": 5, "layers.1.feed_forward.w1": 1, "w2": 12}),
    "patterns that overlap": LoraConfig(
        r=4, lora_alpha=8, target_modules=TARGETS,
        alpha_pattern={"to_q": 2, "attention.to_q": 3, "layers.0.attention.to_q": 24, "0.attention.to_k": 1, "to_k": 20}),
    "regular expressions": LoraConfig(
        r=4, lora_alpha=8, target_modules=TARGETS,
        alpha_pattern={r"layers\.[0-1]\.attention\.to_(q|k)": 3, r"^layers\.\d+\.feed_forward\.w[13]": 20, r".*w2": 1}),
    "root of the rank and patterns": LoraConfig(
        r=4, lora_alpha=8, use_rslora=True, target_modules=TARGETS, rank_pattern={"w3": 9}, alpha_pattern={"w3": 2, "to_v": 16}),
    "DoRA with alpha": LoraConfig(r=4, lora_alpha=10, use_dora=True, target_modules=TARGETS),
    "LoHa": LoHaConfig(r=3, alpha=7, target_modules=TARGETS),
    "LoKr": LoKrConfig(r=2, alpha=5, target_modules=TARGETS),
}


def transformer(folder):
    return ZImageTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32)


def save_adapter(config, model, folder, seed):
    adapted = get_peft_model(transformer(model), config)
    generator = torch.Generator("cpu").manual_seed(seed)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if weight.requires_grad and "magnitude" not in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
    adapted.save_pretrained(folder)


def merged_by_peft(model, folder):
    return PeftModel.from_pretrained(transformer(model), folder).merge_and_unload().state_dict()


def merged_by_inkstone(program, model, lora, output):
    subprocess.run([program, "lora", "merge", "--f32", "--model", model, "--output", output, "--lora", lora],
                   check=True, stdout=subprocess.DEVNULL)
    return {name: value.float() for file in sorted((output / "transformer").glob("*.safetensors"))
            for name, value in load_file(file).items()}


def distance(weights, expected):
    """Largest difference over all weights, relative to the largest of each."""
    return max(float((weights[name] - value).abs().max() / value.abs().max()) for name, value in expected.items())


def check(arguments, folder):
    model = folder / "model"
    tiny_checkpoint.build(tiny_checkpoint.TinyConfig(seed=arguments.seed), model)
    failed = 0
    for index, (name, config) in enumerate(CASES.items()):
        adapter = folder / f"adapter{index}"
        save_adapter(config, model, adapter, arguments.seed * 100 + index)
        expected = merged_by_peft(model, adapter)
        places = {"folder": adapter, "file": adapter / "adapter_model.safetensors"}
        errors = {place: distance(merged_by_inkstone(arguments.inkstone, model, path, folder / f"{place}{index}"), expected)
                  for place, path in places.items()}
        (adapter / "adapter_config.json").unlink()
        without = distance(merged_by_inkstone(arguments.inkstone, model, adapter, folder / f"without{index}"), expected)
        passed = max(errors.values()) <= LIMIT and without > 20 * LIMIT
        failed += not passed
        print(f"{'ok' if passed else 'FAILED':6} {name:32} "
              + ", ".join(f"{place} {error:.1e}" for place, error in errors.items())
              + f", without its configuration {without:.1e}", flush=True)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inkstone-peft-") as folder:
        return check(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
