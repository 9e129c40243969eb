#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Hold every format of LoRA files against diffusers, on a tiny checkpoint with random weights.

    lora_formats.py [--inkstone .build/release/inkstone] [--seed 0]

For each format: draws a file, merges it into the checkpoint here by the format's own formula, lets
diffusers run the merged weights, and lets the engine run the file, merged at load and beside the
weights. All in f32; latents after every step may differ by 2e-4 of the largest. Where diffusers'
own loader takes the file, its result is compared, too. The report on keys must be exact. Closes with
a stack of three files, and with `inkstone lora merge`, whose folder diffusers reads.

Prints one line a case; exits with 1 when one fails. Needs torch, diffusers, transformers, peft.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Fixtures"))

import torch
from safetensors.torch import load_file, save_file

import reference_run
import tiny_checkpoint

LIMIT = 2e-4
RUN = {
    **reference_run.RUN_DEFAULTS, "prompt": "a cat sits on the red chair", "width": 64,
    "height": 48, "steps": 2, "guidance_scale": 2.0, "negative_prompt": "a dog", "seed": 3,
}


class Drawing:
    """One file in the making: its tensors, and what it changes at strength 1."""

    def __init__(self, weights, seed):
        self.weights, self.tensors, self.changes = weights, {}, {}
        self.unmatched, self.unused, self.metadata = [], [], {}
        self.generator = torch.Generator("cpu").manual_seed(seed)

    def draw(self, *shape, size=1.0):
        return torch.randn(*shape, generator=self.generator) * size

    def add(self, key, tensor):
        self.tensors[key] = tensor.contiguous()
        return tensor

    def pair(self, module, rank):
        """Thin matrices whose product has a third of the weight's size."""
        rows, depth = self.weights[module + ".weight"].shape
        down, up = self.draw(rank, depth), self.draw(rows, rank)
        size = self.weights[module + ".weight"].norm() / (up @ down).norm() * 0.3
        return down, up * size

    def scaled(self, module, change):
        """How much of a change has a third of the weight's size."""
        return float(self.weights[module + ".weight"].norm() / change.norm() * 0.3)


def modules(weights, *ends):
    """Matrices that a file may change, without `.weight`."""
    names = [n[:-7] for n, w in weights.items() if n.endswith(".weight") and w.ndim == 2]
    names = [n for n in names if "embed_tokens" not in n]
    return [n for n in sorted(names) if not ends or n.endswith(ends)]


BLOCK = ("to_q", "to_k", "to_v", "to_out.0", "w1", "w2", "w3", "adaLN_modulation.0")


def underscored(name):
    return name.replace(".", "_")


def transformer_only(weights, *ends):
    return [m for m in modules(weights, *ends) if "self_attn" not in m and "mlp.g" not in m
            and "mlp.u" not in m and "mlp.d" not in m]


def peft(d):
    for module in transformer_only(d.weights, *BLOCK):
        down, up = d.pair(module, 4)
        d.add(f"transformer.{module}.lora_A.weight", down)
        d.add(f"transformer.{module}.lora_B.weight", up)
        d.changes[module] = up @ down * 0.5
    d.metadata["lora_adapter_metadata"] = json.dumps({
        "transformer.r": 4, "transformer.lora_alpha": 2, "transformer.peft_type": "LORA",
        "transformer.target_modules": sorted(d.changes),
    })


def every_prefix(d):
    prefixes = ["transformer.", "diffusion_model.", "base_model.model.", "", "model.diffusion_model."]
    for index, module in enumerate(transformer_only(d.weights, *BLOCK)):
        down, up = d.pair(module, 1 + index % 5)
        middle = ".default" if index % 2 else ""
        base = prefixes[index % len(prefixes)] + module
        d.add(f"{base}.lora_A{middle}.weight", down)
        d.add(f"{base}.lora_B{middle}.weight", up)
        d.changes[module] = up @ down


def all_layers(d):
    for module in transformer_only(d.weights):
        down, up = d.pair(module, 3)
        d.add(f"diffusion_model.{module}.lora_A.weight", down)
        d.add(f"diffusion_model.{module}.lora_B.weight", up)
        d.changes[module] = up @ down


def kohya(d):
    for module in transformer_only(d.weights, *BLOCK):
        down, up = d.pair(module, 4)
        base = f"lora_unet_{underscored(module)}"
        d.add(f"{base}.lora_down.weight", down)
        d.add(f"{base}.lora_up.weight", up)
        d.add(f"{base}.alpha", torch.tensor(6.0))
        d.changes[module] = up @ down * 1.5


def fused(d, native, block_diagonal):
    """Queries, keys and values in one pair of matrices."""
    for module in transformer_only(d.weights, "to_q"):
        block = module[: -len("to_q")]
        parts = [block + p for p in ("to_q", "to_k", "to_v")]
        if block_diagonal:
            pairs = [d.pair(p, 3) for p in parts]
            down = torch.cat([p[0] for p in pairs])
            up = torch.block_diag(*[p[1] for p in pairs])
            base, ends = f"lora_unet_{underscored(block)}qkv", (".lora_down.weight", ".lora_up.weight")
            d.add(base + ".alpha", torch.tensor(9.0))
        else:
            down = d.draw(3, d.weights[module + ".weight"].shape[1])
            up = torch.cat([d.draw(d.weights[p + ".weight"].shape[0], 3) for p in parts])
            up *= d.scaled(module, up @ down) * 1.7
            base, ends = f"diffusion_model.{block}qkv", (".lora_A.weight", ".lora_B.weight")
        d.add(base + ends[0], down)
        d.add(base + ends[1], up)
        for part, change in zip(parts, (up @ down).chunk(3)):
            d.changes[part] = change
    if native:
        for module in transformer_only(d.weights, "to_out.0"):
            down, up = d.pair(module, 2)
            base = "diffusion_model." + module.replace("to_out.0", "out")
            d.add(f"{base}.lora_A.weight", down)
            d.add(f"{base}.lora_B.weight", up)
            d.changes[module] = up @ down


def redundant(d):
    """Split keys, and the same fused beside them, which do not count."""
    for module in transformer_only(d.weights, "to_q", "to_k", "to_v", "to_out.0"):
        down, up = d.pair(module, 2)
        d.add(f"{module}.lora.down.weight", down)
        d.add(f"{module}.lora.up.weight", up)
        d.changes[module] = up @ down
    for module in transformer_only(d.weights, "to_q"):
        block = module[: -len("to_q")]
        width = d.weights[module + ".weight"].shape[1]
        for base, rows in ((block + "qkv", 3 * width), (block + "out", width)):
            d.add(f"{base}.lora.down.weight", d.draw(2, width))
            d.add(f"{base}.lora.up.weight", d.draw(rows, 2))
            d.unused += [f"{base}.lora.down.weight", f"{base}.lora.up.weight"]


def loha(d):
    for module in transformer_only(d.weights, *BLOCK):
        rows, depth = d.weights[module + ".weight"].shape
        factors = [(d.draw(rows, 3), d.draw(3, depth)) for _ in range(2)]
        product = (factors[0][0] @ factors[0][1]) * (factors[1][0] @ factors[1][1])
        factors[0] = (factors[0][0] * d.scaled(module, product), factors[0][1])
        base = f"lycoris_{underscored(module)}"
        for index, (a, b) in enumerate(factors, 1):
            d.add(f"{base}.hada_w{index}_a", a)
            d.add(f"{base}.hada_w{index}_b", b)
        d.add(f"{base}.alpha", torch.tensor(2.0))
        d.changes[module] = (factors[0][0] @ factors[0][1]) * (factors[1][0] @ factors[1][1]) * 2 / 3


def lokr(d):
    for index, module in enumerate(transformer_only(d.weights, *BLOCK)):
        rows, depth = d.weights[module + ".weight"].shape
        base, kind = f"lycoris_{underscored(module)}", index % 4
        small, large = (2, 4), (rows // 2, depth // 4)
        first = d.draw(*small)
        if kind >= 2:
            a, b = d.draw(small[0], 1), d.draw(1, small[1])
            first = a @ b
        second = d.draw(*large)
        if kind % 2:
            c, e = d.draw(large[0], 2), d.draw(2, large[1])
            second = c @ e
        size = d.scaled(module, torch.kron(first, second))
        if kind % 2:
            c, second = c * size, second * size
            d.add(f"{base}.lokr_w2_a", c)
            d.add(f"{base}.lokr_w2_b", e)
        else:
            second = d.add(f"{base}.lokr_w2", second * size)
        if kind >= 2:
            d.add(f"{base}.lokr_w1_a", a)
            d.add(f"{base}.lokr_w1_b", b)
        else:
            d.add(f"{base}.lokr_w1", first)
        # Of two whole factors, alpha means nothing; files carry absurd values there.
        d.add(f"{base}.alpha", torch.tensor(1e10 if kind == 0 else 1.5))
        if kind == 0:
            d.unused.append(f"{base}.alpha")
        scale = [1, 1.5 / 2, 1.5 / 1, 1.5 / 2][kind]
        d.changes[module] = torch.kron(first, second) * scale


def dora(d, axis):
    for module in transformer_only(d.weights, *BLOCK):
        weight = d.weights[module + ".weight"]
        down, up = d.pair(module, 3)
        base = f"diffusion_model.{module}"
        d.add(f"{base}.lora_A.weight", down)
        d.add(f"{base}.lora_B.weight", up)
        total = weight + up @ down
        norm = total.norm(dim=1 - axis, keepdim=True)
        magnitude = norm * (1 + 0.3 * d.draw(*norm.shape))
        d.add(f"{base}.dora_scale", magnitude)
        d.changes[module] = magnitude * total / norm - weight


def text_encoder(d):
    prefixes = ["text_encoders.qwen3_4b.transformer.model.", "text_encoder.", "lora_te_"]
    layer = 0
    for module in modules(d.weights, "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
                          "down_proj"):
        down, up = d.pair(module, 3)
        prefix = prefixes[layer % 3]
        layer += 1
        base = prefix + (underscored(module) if prefix == "lora_te_" else module)
        keys = [f"{base}.lora_down.weight", f"{base}.lora_up.weight"]
        d.add(keys[0], down)
        d.add(keys[1], up)
        # The last layer does not run.
        if module.startswith(f"layers.{d.text_layers - 1}."):
            d.unused += keys
        else:
            d.changes[module] = up @ down


def stored_as(dtype):
    def make(d):
        for module in transformer_only(d.weights, *BLOCK):
            down, up = (t.to(dtype) for t in d.pair(module, 4))
            d.add(f"diffusion_model.{module}.lora_A.weight", down)
            d.add(f"diffusion_model.{module}.lora_B.weight", up)
            d.changes[module] = up.float() @ down.float()
    return make


def partly_foreign(d):
    peft(d)
    for key in ("t_embedder_2.mlp.0.lora_A.weight", "transformer.layers.99.attention.to_q.lora_A.weight"):
        d.add(key, d.draw(4, 8))
        d.unmatched.append(key)


# Name, what makes it, strength, whether diffusers' own loader reads the file.
FORMATS = [
    ("PEFT, alpha in metadata", peft, 1.0, True),
    ("PEFT, strength -0.7", peft, -0.7, True),
    ("every prefix, ranks that vary", every_prefix, 1.0, False),
    ("ComfyUI, every layer", all_layers, 0.8, False),
    ("kohya with alpha", kohya, 0.8, True),
    ("fused, shared down", lambda d: fused(d, True, False), 1.0, False),
    ("fused, block diagonal", lambda d: fused(d, False, True), 1.0, True),
    ("split with redundant fused", redundant, 1.0, False),
    ("LoHa", loha, 0.9, False),
    ("LoKr", lokr, 0.9, False),
    ("DoRA by rows", lambda d: dora(d, 0), 0.7, False),
    ("DoRA by columns", lambda d: dora(d, 1), 0.7, False),
    ("text encoder", text_encoder, 1.0, False),
    ("stored in F16", stored_as(torch.float16), 1.0, False),
    ("stored in BF16", stored_as(torch.bfloat16), 1.0, False),
    ("stored in F8_E4M3", stored_as(torch.float8_e4m3fn), 1.0, False),
    ("stored in F8_E5M2", stored_as(torch.float8_e5m2), 1.0, False),
    ("partly foreign", partly_foreign, 1.0, False),
]


@torch.no_grad()
def reference(pipeline, run):
    """Latents after each step."""
    return reference_run.run_reference(pipeline, run)["latents"].float()


def parameters(pipeline):
    """Every weight of transformer and text encoder; the latter's names have no prefix."""
    named = dict(pipeline.transformer.named_parameters())
    for name, weight in pipeline.text_encoder.named_parameters():
        named[name.removeprefix("model.")] = weight
    return named


class Merged:
    """The reference's weights with changes, for as long as the block runs."""

    def __init__(self, pipeline, changes):
        self.weights, self.changes = parameters(pipeline), changes

    def __enter__(self):
        with torch.no_grad():
            self.kept = {n: self.weights[n + ".weight"].clone() for n in self.changes}
            for name, change in self.changes.items():
                self.weights[name + ".weight"] += change

    def __exit__(self, *exception):
        with torch.no_grad():
            for name, weight in self.kept.items():
                self.weights[name + ".weight"].copy_(weight)


def engine(arguments, model, folder, loras, merge):
    """Latents after each step, and the report on keys."""
    trace = folder / "trace.safetensors"
    command = [
        arguments.inkstone, "generate", RUN["prompt"], "--model", model, "--width", RUN["width"],
        "--height", RUN["height"], "--steps", RUN["steps"], "--guidance-scale",
        RUN["guidance_scale"], "--negative-prompt", RUN["negative_prompt"], "--seed", RUN["seed"],
        "--precision", "f32", "--output", folder / "picture.png", "--trace", trace, "--json",
        "--no-weight-cache",
    ]
    for file, scale in loras:
        command += ["--lora", f"{file}:{scale}"]
    if loras and not merge:
        command.append("--unmerged-lora")
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"inkstone ended with status {done.returncode}: {done.stderr.strip()}")
    return load_file(trace)["latents"], json.loads(done.stdout)["loras"]


def distance(actual, expected):
    return float((actual.reshape(expected.shape) - expected).abs().max() / expected.abs().max())


def check(arguments, folder):
    """Run all cases. Returns the exit status."""
    model = folder / "model"
    config = tiny_checkpoint.TinyConfig(seed=arguments.seed)
    tiny_checkpoint.build(config, model)
    pipeline = reference_run.load(model)
    plain = reference(pipeline, RUN)
    good = True

    def show(name, passed, text):
        nonlocal good
        good &= passed
        print(f"{'ok' if passed else 'FAILED':6} {name:30} {text}", flush=True)

    first = distance(engine(arguments, model, folder, [], True)[0], plain)
    show("without LoRA", first <= LIMIT, f"{first:.1e}")
    drawn = []
    for index, (name, make, strength, has_loader) in enumerate(FORMATS):
        d = Drawing({n: w.detach() for n, w in parameters(pipeline).items()},
                    arguments.seed * 1000 + index)
        d.text_layers = pipeline.text_encoder.config.num_hidden_layers
        make(d)
        file = folder / f"lora{index}.safetensors"
        save_file(d.tensors, file, metadata={"format": "pt", **d.metadata})
        drawn.append((d, file))
        with Merged(pipeline, {m: c * strength for m, c in d.changes.items()}):
            expected = reference(pipeline, RUN)
        moved = distance(expected, plain)
        merged, reports = engine(arguments, model, folder, [(file, strength)], True)
        beside, again = engine(arguments, model, folder, [(file, strength)], False)
        errors = [distance(merged, expected), distance(beside, expected)]
        wanted = (len(d.changes), sorted(d.unmatched), sorted(d.unused))
        exact = all(
            (r[0]["matched"], r[0]["unmatched"], r[0]["unused"]) == wanted
            for r in (reports, again))
        text = f"merged {errors[0]:.1e}, beside {errors[1]:.1e}, moved {moved:.1e}"
        passed = max(errors) <= LIMIT and moved > 20 * LIMIT and exact
        if has_loader:
            pipeline.load_lora_weights(str(folder), weight_name=file.name, adapter_name="a")
            pipeline.set_adapters(["a"], [strength])
            own = distance(reference(pipeline, RUN), expected)
            pipeline.unload_lora_weights()
            text += f", diffusers' loader {own:.1e}"
            passed &= own <= LIMIT
        if not exact:
            text += f", keys {reports[0]}, expected {wanted}"
        show(name, passed, text)

    # A stack of three: PEFT, LoKr, DoRA by rows.
    chosen = [(drawn[0], 0.6), (drawn[9], -0.5), (drawn[10], 0.4)]
    total = {}
    for (d, _), scale in chosen:
        for module, change in d.changes.items():
            total[module] = total.get(module, 0) + change * scale
    with Merged(pipeline, total):
        expected = reference(pipeline, RUN)
    files = [(file, scale) for (_, file), scale in chosen]
    errors = [
        distance(engine(arguments, model, folder, files, merge)[0], expected)
        for merge in (True, False)
    ]
    show("a stack of three", max(errors) <= LIMIT, f"merged {errors[0]:.1e}, beside {errors[1]:.1e}")

    # The merged folder, read by diffusers.
    output = folder / "merged"
    command = [arguments.inkstone, "lora", "merge", "--f32", "--model", model,
               "--output", output]
    files.append((drawn[12][1], 0.5))
    for module, change in drawn[12][0].changes.items():
        total[module] = total.get(module, 0) + change * 0.5
    for file, scale in files:
        command += ["--lora", f"{file}:{scale}"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    with Merged(pipeline, total):
        expected = reference(pipeline, RUN)
    error = distance(reference(reference_run.load(output), RUN), expected)
    show("lora merge, read by diffusers", error <= LIMIT, f"{error:.1e}")
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inkstone-lora-") as folder:
        return check(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
