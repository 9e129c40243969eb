#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Make the parity and noise fixtures from the reference, or check their hashes.

    make_parity_fixtures.py            # everything, about two minutes on two cores
    make_parity_fixtures.py released   # only these folders, then the manifest
    make_parity_fixtures.py --check    # hash the files and compare with MANIFEST.json

Reference: the pipelines of diffusers and transformers in float32 on a CPU (versions in
MANIFEST.json). What every file and tensor is: README.md. After a change, run
`Tests/parity/independent_reference.py` too: it computes the goldens again without the reference.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

import reference_run
from tiny_checkpoint import TinyConfig, build, write_json

HERE = pathlib.Path(__file__).resolve().parent
PARITY = HERE / "parity"
SHARED = PARITY / "shared" / "time_embedder.safetensors"
NOISE = PARITY / "noise.safetensors"
MANIFEST = HERE / "MANIFEST.json"
LIMIT_BYTES = 3_000_000
# 1024 x 256 whatever the width of the model: stored once and linked.
TIME_EMBEDDER = ("t_embedder.mlp.0.weight", "t_embedder.mlp.0.bias")

MIXED = "a cat's café, 12 red chairs\n一只猫坐在椅子上 -- 4k!!"
LONG = "A long road winds past 3 lakes, it's dusk; 一只猫坐在红色的椅子上。 " * 12

FIXTURES = {
    "released": {
        "summary": "Released text-encoder naming, bf16; every stage of the first forward is "
                   "recorded. 48x80 makes 15 image tokens, padded to 32.",
        "config": TinyConfig(
            seed=1, dim=24, axes=(4, 4, 4), text_head_dim=12, text_ffn=56,
            vae_channels=(4, 4, 8, 8)),
        "runs": [
            {"name": "turbo", "prompt": MIXED, "width": 48, "height": 80, "steps": 8, "seed": 0,
             "keep": "everything"},
            {"name": "guided", "prompt": "a red chair", "negative_prompt": "lazy dog, 4k",
             "width": 64, "height": 48, "steps": 3, "guidance_scale": 5.0, "seed": 42,
             "keep": "outputs"},
            {"name": "image", "prompt": "the lake at sunset", "width": 64, "height": 48,
             "steps": 8, "seed": 7, "strength": 0.6},
        ],
    },
    "modern": {
        "summary": "Modern text-encoder naming, tokenizer.json only, f32, heads of eight, eight "
                   "latent channels, a transformer narrower than its text features.",
        "config": TinyConfig(
            seed=2, dim=16, axes=(4, 2, 2), channels=8, text_dim=24, text_ffn=40, text_layers=2,
            vocabulary=280, text_heads=2, text_kv_heads=1, text_head_dim=8,
            vae_channels=(4, 4, 4, 8), store="float32", text_naming="modern",
            tokenizer_files="modern"),
        "runs": [
            {"name": "one_step", "prompt": "一只猫坐在红色的椅子上。", "width": 80, "height": 48,
             "steps": 1, "seed": 7, "keep": "outputs"},
            {"name": "guided", "prompt": "一只猫坐在红色的椅子上。", "width": 80, "height": 48,
             "steps": 8, "guidance_scale": 5.0, "seed": -1},
        ],
    },
    "sharded": {
        "summary": "Every part in several files, shift 6, a wider model with unequal rotary "
                   "axes; guidance with renormalisation and with truncation.",
        "config": TinyConfig(
            seed=3, dim=40, axes=(8, 8, 4), layers=1, text_layers=3, text_ffn=40, text_heads=4,
            text_kv_heads=4, text_head_dim=8, vae_channels=(4, 4, 4, 12), shift=6.0, shard="50KB"),
        "runs": [
            {"name": "normalized", "prompt": "a cat on the red chair", "width": 96, "height": 48,
             "steps": 4, "guidance_scale": 5.0, "cfg_normalization": 0.9, "seed": 4294967303},
            {"name": "truncated", "prompt": "a cat on the red chair", "negative_prompt": "dog",
             "width": 64, "height": 64, "steps": 5, "guidance_scale": 2.5,
             "cfg_truncation": 0.25, "seed": 3},
        ],
    },
    "dynamic": {
        "summary": "Dynamic shift, f16, four heads, vocab.json and merges.txt without "
                   "tokenizer.json; 35 image tokens pad to 64; a prompt beyond 512 tokens and an "
                   "empty one.",
        "config": TinyConfig(
            seed=4, dim=32, heads=4, axes=(4, 2, 2), layers=1, channels=4, text_dim=24,
            text_ffn=48, text_layers=2, text_heads=3, text_kv_heads=1, text_head_dim=8,
            vae_channels=(4, 4, 4, 4), dynamic_shift=True,
            store="float16", tokenizer_files="vocabulary"),
        "runs": [
            {"name": "long", "prompt": LONG, "width": 112, "height": 80, "steps": 2, "seed": 11},
            {"name": "empty", "prompt": "", "width": 48, "height": 80, "steps": 4,
             "guidance_scale": 1.0, "negative_prompt": "x", "seed": 0},
        ],
    },
    "deep": {
        "summary": "Three layers, two refiners, one head, two resnets a VAE block and 1x1 quant "
                   "convolutions; two latent channels, so the noise is not a multiple of 16 numbers; "
                   "special tokens inside a prompt.",
        "config": TinyConfig(
            seed=5, dim=16, heads=1, axes=(8, 4, 4), layers=3, refiners=2, channels=2,
            text_layers=2, text_ffn=48, text_heads=8, text_kv_heads=2, text_head_dim=4,
            vae_channels=(4, 4, 8, 8), vae_groups=2, vae_layers=2, vae_quant_convs=True),
        "runs": [
            {"name": "tail_noise", "prompt": "a<|im_end|>b <think>  it's\t9  ", "width": 80,
             "height": 48, "steps": 3, "seed": 42, "keep": "outputs"},
            {"name": "image", "prompt": "photo of a cat", "negative_prompt": "chair", "width": 96,
             "height": 48, "steps": 5, "guidance_scale": 3.0, "seed": 8, "strength": 0.5},
        ],
    },
    "plain": {
        "summary": "A single layer, shift 1, as many key as query heads; captions of exactly 32 "
                   "and 33 tokens, either side of the padding boundary.",
        "config": TinyConfig(
            seed=6, dim=24, heads=3, axes=(2, 4, 2), layers=1, channels=4, text_dim=20,
            text_ffn=56, text_layers=2, text_heads=2, text_kv_heads=2, text_head_dim=12,
            vae_channels=(4, 4, 4, 4), vae_groups=2, shift=1.0, text_naming="modern"),
        "runs": [
            {"name": "tokens_32", "prompt_tokens": 32, "width": 48, "height": 80, "steps": 2,
             "seed": 1},
            {"name": "tokens_33", "prompt_tokens": 33, "width": 48, "height": 80, "steps": 2,
             "seed": 1},
        ],
    },
    "emoji-nano": {
        "summary": "The embedded model itself (Models/emoji-nano), computed in f32.",
        "checkpoint": "../../../../Models/emoji-nano",
        "runs": [
            {"name": "apple", "prompt": "a red apple on a blue background", "width": 128,
             "height": 128, "steps": 8, "seed": 7, "keep": "result"},
            {"name": "panda", "prompt": "黄色背景上的熊猫", "width": 128, "height": 128,
             "steps": 28, "guidance_scale": 5.0, "seed": 7, "keep": "result"},
        ],
    },
}


def save_tensors(path, tensors, **metadata):
    """Write with one metadata entry: the library orders several at random."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, path,
              metadata={"inkstone": json.dumps(metadata, ensure_ascii=False, sort_keys=True)})
    path.chmod(0o644)


def shared_time_embedder():
    """The two shared tensors, made on first use."""
    if not SHARED.exists():
        generator = torch.Generator("cpu").manual_seed(1000)
        weight = torch.randn((1024, 256), generator=generator) / 16
        bias = 0.1 * torch.randn(1024, generator=generator)
        SHARED.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(zip(TIME_EMBEDDER, (weight.bfloat16(), bias.bfloat16()))), SHARED,
                  metadata={"format": "pt"})
        SHARED.chmod(0o644)
    return load_file(SHARED)


def share_time_embedder(folder):
    """Turn the transformer into shards, the first being a link to the shared tensors."""
    shards = []
    for path in sorted(folder.glob("*.safetensors")):
        tensors = {k: v for k, v in load_file(path).items() if k not in TIME_EMBEDDER}
        path.unlink()
        if tensors:
            shards.append(tensors)
    count = len(shards) + 1
    name = lambda k: f"diffusion_pytorch_model-{k:05d}-of-{count:05d}.safetensors"
    shared = shared_time_embedder()
    (folder / name(1)).symlink_to(os.path.relpath(SHARED, folder))
    weight_map = {key: name(1) for key in shared}
    total = sum(t.nbytes for t in shared.values())
    for index, tensors in enumerate(shards, 2):
        save_file(tensors, folder / name(index), metadata={"format": "pt"})
        weight_map.update({key: name(index) for key in tensors})
        total += sum(t.nbytes for t in tensors.values())
    write_json(folder / "diffusion_pytorch_model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


def prompt_of_length(pipeline, count):
    """A prompt whose templated form has exactly `count` tokens."""
    text = "a cat"
    while len(reference_run.input_ids(pipeline, text)) < count:
        text += "!" if len(reference_run.input_ids(pipeline, text + " x")) > count else " x"
    if len(reference_run.input_ids(pipeline, text)) != count:
        raise SystemExit(f"no prompt of {count} tokens found, stopped at {text!r}")
    return text


# What a run keeps beyond ids, features, noise, sigmas, latents and pixels, by its `keep`.
EXTRAS = {
    "everything": ("trace.", "transformer_out.", "decoded"),
    "outputs": ("transformer_out.",),
    "default": (),
}
RESULT = ("pos.input_ids", "neg.input_ids", "sigmas", "rgb8")


def select(tensors, keep):
    """The tensors of a run that go into the goldens: the repository pays for every one."""
    if keep == "result":
        kept = {k: tensors[k] for k in RESULT if k in tensors}
        return {**kept, "latents": tensors["latents"][-1:]}
    optional = ("trace.", "transformer_out.", "decoded")
    # Outputs of later calls follow from the latents; the first two show the branches and the state.
    late = {k for k in tensors if k.startswith("transformer_out.") and int(k.split(".")[1]) > 1}
    if "trace.final_layer" in tensors:
        # Without pads: before a pad token replaces them their rows mean nothing, and after the
        # final layer they are not used.
        tensors = dict(tensors)
        rows = tensors["latents"][0, 0].numel() // 4
        tensors["trace.x_embedded"] = tensors["trace.x_embedded"][:rows]
        tensors["trace.final_layer"] = tensors["trace.final_layer"][:, :rows]
        rows = len(tensors["pos.text_features"])
        tensors["trace.cap_embedded"] = tensors["trace.cap_embedded"][:rows]
    return {k: v for k, v in tensors.items()
            if k not in late and (k.startswith(EXTRAS[keep]) or not k.startswith(optional))}


def make_fixture(name, fixture):
    """Build the checkpoint, run every case on it and write goldens and case.json."""
    folder = PARITY / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    checkpoint = fixture.get("checkpoint", ".")
    case = {"fixture": name, "summary": fixture["summary"], "checkpoint": checkpoint}
    if "config" in fixture:
        config = fixture["config"]
        build(config, folder)
        share_time_embedder(folder / "transformer")
        case["config"] = dataclasses.asdict(config)
    pipeline = reference_run.load(folder / checkpoint)
    goldens, case["runs"] = {}, []
    for spec in fixture["runs"]:
        spec = dict(spec)
        keep = spec.pop("keep", "default")
        if "prompt_tokens" in spec:
            spec["prompt"] = prompt_of_length(pipeline, spec.pop("prompt_tokens"))
        run = {**reference_run.RUN_DEFAULTS, **spec}
        tensors = reference_run.run_reference(pipeline, run)
        kept = select(tensors, keep)
        goldens.update({f"{run['name']}.{k}": v for k, v in kept.items()})
        case["runs"].append(run)
    # `runs` is what `Tests/parity` and the Swift tests drive; the metadata repeats it so that the
    # tensors can be understood without the folder.
    save_tensors(folder / "goldens.safetensors", goldens, runs=case["runs"])
    (folder / "case.json").write_text(
        json.dumps(case, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)  # safetensors files come out readable by their owner alone


def make_noise():
    """Standard normal numbers and raw integers of the reference's CPU generator."""
    tensors = {}
    for seed in (0, 7, 42, 2**32 + 7, -1):
        for count in (1, 5, 15, 16, 17, 31, 100, 1000, 16 * 16 * 16):
            draw = torch.randn(count, generator=torch.Generator("cpu").manual_seed(seed))
            if count <= 100:
                tensors[f"randn.{seed}.{count}"] = draw
            else:
                tensors[f"randn.{seed}.{count}.first"] = draw[:32].clone()
                tensors[f"randn.{seed}.{count}.last"] = draw[-32:].clone()
        # Over its whole range the library draws two 32-bit integers a number, the first on top.
        wide = torch.empty(650, dtype=torch.int64).random_(
            -(2**63), None, generator=torch.Generator("cpu").manual_seed(seed))
        integers = torch.stack([(wide >> 32) & 0xFFFFFFFF, wide & 0xFFFFFFFF], -1).flatten()
        tensors[f"integers.{seed}.first"] = integers[:16].clone()
        tensors[f"integers.{seed}.last"] = integers[-16:].clone()  # past two regenerations
    # One generator, several draws: short draws keep a spare value between calls.
    generator = torch.Generator("cpu").manual_seed(7)
    for index, count in enumerate((5, 3, 32, 2, 20, 1)):
        tensors[f"sequence.7.{index}"] = torch.randn(count, generator=generator)
    save_tensors(NOISE, tensors, note="see README.md")


def hashes():
    """SHA-256 and size of the files made here; links are listed by their target."""
    found = {}
    paths = [p for name in [*FIXTURES, SHARED.parent.name] for p in (PARITY / name).rglob("*")]
    for path in sorted([*paths, NOISE]):
        key = str(path.relative_to(HERE))
        if path.is_symlink():
            found[key] = {"link": os.readlink(path)}
        elif path.is_file():
            data = path.read_bytes()
            found[key] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return found


def write_manifest():
    import diffusers
    import safetensors
    import tokenizers
    import transformers
    files = hashes()
    total = sum(f.get("bytes", 0) for f in files.values())
    if total > LIMIT_BYTES:
        raise SystemExit(f"the fixtures take {total} bytes, at most {LIMIT_BYTES} may be committed")
    modules = (torch, diffusers, transformers, tokenizers, safetensors)
    manifest = {
        "script": "Tests/Fixtures/make_parity_fixtures.py",
        "reference": {m.__name__: m.__version__ for m in modules},
        "computed_in": "float32 on a CPU, from the weights as stored",
        "seeds": {name: fixture["config"].seed for name, fixture in FIXTURES.items()
                  if "config" in fixture},
        "total_bytes": total,
        "files": files,
    }
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{len(files)} files, {total / 1e6:.2f} MB")


def check():
    """Compare the files with the manifest; any difference is a failure."""
    listed, found = json.loads(MANIFEST.read_text())["files"], hashes()
    wrong = sorted(k for k in listed.keys() | found.keys() if listed.get(k) != found.get(k))
    for key in wrong:
        print(f"{key}: listed {listed.get(key)}, found {found.get(key)}")
    print(f"{len(found)} files, {len(wrong)} differ from the manifest")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixtures", nargs="*", help=", ".join([*FIXTURES, "noise"]))
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    torch.set_num_threads(1)  # the same order of additions on every machine
    for name in arguments.fixtures or [*FIXTURES, "noise"]:
        print(name, flush=True)
        make_noise() if name == "noise" else make_fixture(name, FIXTURES[name])
    write_manifest()
    return 0


if __name__ == "__main__":
    sys.exit(main())
