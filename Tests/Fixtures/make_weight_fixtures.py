#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Write small files of quantised weights, and what public decoders make of them.

    make_weight_fixtures.py [--check]

`blocks.safetensors` has for every block format of GGUF some blocks (`NAME.bytes`, made by the package
`gguf` where it can, else random) and their numbers (`NAME.numbers`, by its decoder). `comfy.safetensors`
is a file in ComfyUI's formats, and `comfy-numbers.safetensors` what its layers mean. `preview.safetensors`
has latents and what diffusers' AutoencoderTiny makes of them with weights that both sides compute (see
`weight`). Needs torch, diffusers, gguf; `--check` compares with what is there.
"""

import pathlib
import sys

import gguf
import numpy
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "parity"))
import weight_formats  # noqa: E402


def blocks():
    generator = numpy.random.default_rng(5)
    tensors = {}
    for kind in (
        "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
        "IQ4_XS",
    ):
        array = generator.standard_normal((1, 512), numpy.float32)
        raw, numbers = weight_formats.quantized(
            array, gguf.GGMLQuantizationType[kind], generator)
        tensors[kind + ".bytes"] = torch.from_numpy(raw.reshape(-1).copy())
        tensors[kind + ".numbers"] = torch.from_numpy(numbers.reshape(-1).copy())
    for name, dtype in (("F8_E4M3", torch.float8_e4m3fn), ("F8_E5M2", torch.float8_e5m2)):
        every = torch.arange(256, dtype=torch.uint8)
        tensors[name + ".numbers"] = every.view(dtype).float()
    return tensors


def comfy():
    torch.manual_seed(6)
    stored, meaning = {}, {}
    for form, shape in (
        ("bf16", (3, 8)), ("fp8 cast", (3, 8)), ("fp8 scaled", (3, 8)), ("e5m2 of old", (3, 8)),
        ("int8 rows", (3, 8)), ("int8 whole", (3, 8)), ("int8 convrot", (2, 256)),
        ("nvfp4", (160, 80)), ("mxfp8", (8, 96)),
    ):
        name = form.replace(" ", "_") + ".weight"
        tensors, _, numbers = weight_formats.comfy({name: torch.randn(shape)}, form)
        if "old" not in form:
            stored |= tensors
        else:
            stored |= {k: v for k, v in tensors.items() if k != "scaled_fp8"}
        meaning |= numbers
    return stored, meaning


def weight(name, shape):
    """Weights that any language computes alike: a hash of name and place, as a fraction."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    count = int(numpy.prod(shape))
    place = numpy.arange(count, dtype=numpy.uint64)
    mixed = (place * 2654435761 + seed) % 2**32
    mixed = (mixed ^ (mixed >> 15)) * 2246822519 % 2**32
    mixed = (mixed ^ (mixed >> 13)) % 4096
    fraction = mixed.astype(numpy.float32) / 2048 - 1
    depth = int(numpy.prod(shape[1:])) if len(shape) > 1 else 16
    # A power of two, so that the product is exact.
    scale = 2.0 ** -round(numpy.log2(depth) / 2)
    return torch.from_numpy((fraction * numpy.float32(scale)).reshape(shape))


@torch.no_grad()
def preview():
    model = AutoencoderTiny(latent_channels=16).eval()
    for name, parameter in model.named_parameters():
        parameter.copy_(weight(name, tuple(parameter.shape)))
    latents = 2 * torch.randn(1, 16, 3, 2, generator=torch.Generator().manual_seed(7))
    # The class gives -1...1; the engine's decoder 0...1.
    pixels = model.decode(latents).sample / 2 + 0.5
    return {"latents": latents, "pixels": pixels}


def main():
    stored, meaning = comfy()
    files = {
        "blocks.safetensors": blocks(), "comfy.safetensors": stored,
        "comfy-numbers.safetensors": meaning, "preview.safetensors": preview(),
    }
    good = True
    for name, tensors in files.items():
        path = HERE / "weights" / name
        tensors = {k: v.contiguous() for k, v in tensors.items()}
        if "--check" in sys.argv:
            known = load_file(path)
            same = known.keys() == tensors.keys() and all(
                torch.allclose(known[k].float(), tensors[k].float(), atol=1e-5, equal_nan=True)
                for k in known)
            good &= same
            print(f"{'ok' if same else 'FAILED':6} {name}")
        else:
            save_file(tensors, path)
            print(f"{path.stat().st_size:8} {name}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
