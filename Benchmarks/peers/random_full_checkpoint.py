#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Write a full-size Z-Image-Turbo checkpoint with random bf16 weights (about 20 GB).

    random_full_checkpoint.py OUT [--layout diffusers|single] [--parts transformer,text_encoder,vae]
                                  [--layers 30] [--text-layers 36]

For timing, memory and single-step parity: names, shapes and types are those of the real model, the
numbers are noise, scaled so that activations stay finite. `single` writes the fused single files
that ComfyUI and stable-diffusion.cpp load. Fewer layers make a smaller model of the same width.
"""

import argparse
import json
import math
import pathlib
import struct
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests" / "Fixtures"))

DIM, HEADS, CAPTION, CHANNELS, FREQUENCIES = 3840, 30, 2560, 16, 256
VAE = {
    "in_channels": 3, "out_channels": 3, "latent_channels": CHANNELS,
    "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "norm_num_groups": 32,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
    "scaling_factor": 0.3611, "shift_factor": 0.1159, "use_quant_conv": False,
    "use_post_quant_conv": False, "mid_block_add_attention": True, "sample_size": 1024,
    "force_upcast": True,
}


def block_shapes(prefix, modulated, fused):
    """Tensor shapes of one transformer block."""
    ffn, head = DIM * 8 // 3, DIM // HEADS
    attention, forward = prefix + ".attention.", prefix + ".feed_forward."
    if fused:
        shapes = {attention + "qkv.weight": (3 * DIM, DIM), attention + "out.weight": (DIM, DIM),
                  attention + "q_norm.weight": (head,), attention + "k_norm.weight": (head,)}
    else:
        products = ("to_q", "to_k", "to_v", "to_out.0")
        shapes = {f"{attention}{n}.weight": (DIM, DIM) for n in products}
        shapes |= {f"{attention}{n}.weight": (head,) for n in ("norm_q", "norm_k")}
    shapes |= {forward + "w1.weight": (ffn, DIM), forward + "w2.weight": (DIM, ffn),
               forward + "w3.weight": (ffn, DIM)}
    for norm in ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"):
        shapes[f"{prefix}.{norm}.weight"] = (DIM,)
    if modulated:
        shapes[prefix + ".adaLN_modulation.0.weight"] = (4 * DIM, FREQUENCIES)
        shapes[prefix + ".adaLN_modulation.0.bias"] = (4 * DIM,)
    return shapes


def transformer_shapes(layers=30, refiners=2, fused=False):
    token = CHANNELS * 4
    embedder = "x_embedder" if fused else "all_x_embedder.2-1"
    final = "final_layer" if fused else "all_final_layer.2-1"
    shapes = {
        f"{embedder}.weight": (DIM, token), f"{embedder}.bias": (DIM,),
        f"{final}.linear.weight": (token, DIM), f"{final}.linear.bias": (token,),
        f"{final}.adaLN_modulation.1.weight": (DIM, FREQUENCIES),
        f"{final}.adaLN_modulation.1.bias": (DIM,),
        "t_embedder.mlp.0.weight": (1024, FREQUENCIES), "t_embedder.mlp.0.bias": (1024,),
        "t_embedder.mlp.2.weight": (FREQUENCIES, 1024), "t_embedder.mlp.2.bias": (FREQUENCIES,),
        "cap_embedder.0.weight": (CAPTION,), "cap_embedder.1.weight": (DIM, CAPTION),
        "cap_embedder.1.bias": (DIM,), "x_pad_token": (1, DIM), "cap_pad_token": (1, DIM),
    }
    for i in range(refiners):
        shapes |= block_shapes(f"noise_refiner.{i}", True, fused)
        shapes |= block_shapes(f"context_refiner.{i}", False, fused)
    for i in range(layers):
        shapes |= block_shapes(f"layers.{i}", True, fused)
    return shapes


def text_encoder_shapes(layers=36, hidden=CAPTION, heads=32, groups=8, head=128, ffn=9728,
                        vocabulary=151936):
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    for i in range(layers):
        p = f"model.layers.{i}."
        shapes |= {
            p + "self_attn.q_proj.weight": (heads * head, hidden),
            p + "self_attn.k_proj.weight": (groups * head, hidden),
            p + "self_attn.v_proj.weight": (groups * head, hidden),
            p + "self_attn.o_proj.weight": (hidden, heads * head),
            p + "self_attn.q_norm.weight": (head,), p + "self_attn.k_norm.weight": (head,),
            p + "mlp.gate_proj.weight": (ffn, hidden), p + "mlp.up_proj.weight": (ffn, hidden),
            p + "mlp.down_proj.weight": (hidden, ffn), p + "input_layernorm.weight": (hidden,),
            p + "post_attention_layernorm.weight": (hidden,),
        }
    return shapes


def vae_shapes():
    import torch
    from diffusers import AutoencoderKL
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in AutoencoderKL(**VAE).state_dict().items()}


def statistics_of(name, shape):
    """Standard deviation and mean of a parameter."""
    if len(shape) >= 2 and "pad_token" not in name:
        return 1 / math.sqrt(math.prod(shape[1:])), 0.0
    return (0.02, 0.0) if name.endswith("bias") or "pad_token" in name else (0.02, 1.0)


def bf16(values):
    """The upper halves of f32 numbers."""
    return (numpy.ascontiguousarray(values, numpy.float32).view(numpy.uint32) >> 16).astype("<u2")


def write(path, shapes, seed):
    """Stream a safetensors file, so that memory stays small.

    The numbers are rolled copies of one pool of four million: drawing ten billion would take
    minutes, and no product can tell.
    """
    rng = numpy.random.default_rng(seed)
    pool = rng.standard_normal(1 << 22, dtype=numpy.float32)
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    key, scaled = None, None
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes.items():
            left = math.prod(shape)
            if statistics_of(name, shape) != key:
                key = statistics_of(name, shape)
                scaled = bf16(pool * key[0] + key[1])
            rolled = numpy.roll(scaled, -int(rng.integers(0, scaled.size)))
            while left > 0:
                part = rolled[:min(left, rolled.size)]
                file.write(part.tobytes())
                left -= part.size
    print(f"{path}: {offset / 1e9:.2f} GB", flush=True)


def write_json(path, **fields):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields, indent=1))


def write_configs(out, layers, text_layers):
    """Everything of the folder that is not weights; the tokenizer is a small one of ours."""
    import tiny_checkpoint
    tiny_checkpoint.write_tokenizer(out / "tokenizer", 400)
    write_json(
        out / "transformer/config.json", _class_name="ZImageTransformer2DModel",
        all_f_patch_size=[1], all_patch_size=[2], axes_dims=[32, 48, 48],
        axes_lens=[1536, 512, 512], cap_feat_dim=CAPTION, dim=DIM, in_channels=CHANNELS,
        n_heads=HEADS, n_kv_heads=HEADS, n_layers=layers, n_refiner_layers=2, norm_eps=1e-5,
        qk_norm=True, rope_theta=256.0, t_scale=1000.0)
    write_json(
        out / "text_encoder/config.json", architectures=["Qwen3ForCausalLM"], model_type="qwen3",
        hidden_size=CAPTION, intermediate_size=9728, num_hidden_layers=text_layers,
        num_attention_heads=32, num_key_value_heads=8, head_dim=128, vocab_size=151936,
        rms_norm_eps=1e-6, rope_theta=1000000, hidden_act="silu", attention_bias=False,
        tie_word_embeddings=True, max_position_embeddings=40960, torch_dtype="bfloat16")
    write_json(out / "vae/config.json", _class_name="AutoencoderKL", act_fn="silu", **VAE)
    write_json(
        out / "scheduler/scheduler_config.json", _class_name="FlowMatchEulerDiscreteScheduler",
        num_train_timesteps=1000, use_dynamic_shifting=False, shift=3.0)
    write_json(
        out / "model_index.json", _class_name="ZImagePipeline", _diffusers_version="0.36.0",
        scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"],
        text_encoder=["transformers", "Qwen3Model"], tokenizer=["transformers", "Qwen2Tokenizer"],
        transformer=["diffusers", "ZImageTransformer2DModel"], vae=["diffusers", "AutoencoderKL"])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--layout", default="diffusers", choices=["diffusers", "single"])
    parser.add_argument("--parts", default="transformer,text_encoder,vae")
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--text-layers", type=int, default=36)
    arguments = parser.parse_args()
    out, fused = arguments.out, arguments.layout == "single"
    files = {
        "transformer": ("dit.safetensors", "transformer/diffusion_pytorch_model.safetensors",
                        lambda: transformer_shapes(arguments.layers, fused=fused)),
        "text_encoder": ("te.safetensors", "text_encoder/model.safetensors",
                         lambda: text_encoder_shapes(arguments.text_layers)),
        "vae": ("vae.safetensors", "vae/diffusion_pytorch_model.safetensors", vae_shapes),
    }
    for seed, part in enumerate(files, 1):
        if part in arguments.parts.split(","):
            single, folder, shapes = files[part]
            write(out / (single if fused else folder), shapes(), seed)
    if not fused:
        write_configs(out, arguments.layers, arguments.text_layers)


if __name__ == "__main__":
    main()
