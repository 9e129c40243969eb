#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Make tiling.safetensors: what diffusers decodes and encodes in tiles of 8 latent pixels.

    make_tiling_fixture.py

Uses the autoencoder of the fixture `released`, in float32, with the overlap of a quarter that is the
reference's default.
"""

import pathlib

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

PARITY = pathlib.Path(__file__).resolve().parent / "parity"


@torch.no_grad()
def main():
    vae = AutoencoderKL.from_pretrained(PARITY / "released" / "vae", dtype=torch.float32)
    vae.enable_tiling()
    vae.tile_latent_min_size = 8
    vae.tile_sample_min_size = 64
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn(1, 16, 14, 10, generator=generator)
    scaled = latents / vae.config.scaling_factor + vae.config.shift_factor
    pixels = (torch.rand(1, 3, 80, 96, generator=generator) * 255).round().to(torch.uint8)
    save_file(
        {
            "latents": latents,
            "decoded": vae.decode(scaled, return_dict=False)[0].contiguous(),
            "pixels": pixels,
            "moments": vae.encode(pixels.float() / 255 * 2 - 1).latent_dist.parameters.contiguous(),
        },
        PARITY / "tiling.safetensors",
    )


if __name__ == "__main__":
    main()
