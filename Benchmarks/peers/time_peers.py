#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Time the parts of a real-size Z-Image in PyTorch and OpenVINO on this CPU.

    time_peers.py block --tokens 1088 [--threads 2] [--json FILE]
    time_peers.py step --size 512        # the whole 6 B transformer once, bf16; 13 GB of memory
    time_peers.py decoder --size 512
    time_peers.py encoder --tokens 40

Random weights at the real size; the median of --repeat runs after one warm-up. GOP/s counts two
operations a multiply-add, products and attention only. Needs torch, diffusers and transformers;
rows of OpenVINO appear where openvino and nncf are installed.
"""

import argparse
import json
import pathlib
import statistics
import time

import torch

DIM, HEADS, FFN = 3840, 30, 10240
BLOCK_WEIGHTS = 4 * DIM * DIM + 3 * DIM * FFN


def median_seconds(work, repeat):
    work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def operations(tokens, blocks=1):
    """Operations of transformer blocks on one sequence."""
    return blocks * (2 * tokens * BLOCK_WEIGHTS + 4 * tokens * tokens * DIM)


class Block(torch.nn.Module):
    """An unmodulated block with real-valued rotary arithmetic, which every exporter can trace."""

    def __init__(self):
        super().__init__()
        from diffusers.models.transformers.transformer_z_image import ZImageTransformerBlock
        self.block = ZImageTransformerBlock(0, DIM, HEADS, HEADS, 1e-5, True, modulation=False)

    @staticmethod
    def rotate(x, cos, sin):
        even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(3)

    def forward(self, x, cos, sin):
        block, attention = self.block, self.block.attention
        count, head = x.shape[1], DIM // HEADS
        h = block.attention_norm1(x)
        q, k, v = (layer(h).view(1, count, HEADS, head)
                   for layer in (attention.to_q, attention.to_k, attention.to_v))
        q = self.rotate(attention.norm_q(q), cos, sin)
        k = self.rotate(attention.norm_k(k), cos, sin)
        mixed = torch.nn.functional.scaled_dot_product_attention(
            *(t.transpose(1, 2) for t in (q, k, v)))
        mixed = mixed.transpose(1, 2).reshape(1, count, DIM)
        x = x + block.attention_norm2(attention.to_out[0](mixed))
        return x + block.ffn_norm2(block.feed_forward(block.ffn_norm1(x)))


def time_block(arguments, report):
    count, half_head = arguments.tokens, DIM // HEADS // 2
    inputs = (torch.randn(1, count, DIM), torch.randn(1, count, 1, half_head),
              torch.randn(1, count, 1, half_head))
    total = operations(count)
    block = Block().eval().to(torch.bfloat16)
    halves = tuple(t.bfloat16() for t in inputs)
    report("torch bf16 eager", median_seconds(lambda: block(*halves), arguments.repeat), total)
    compiled = torch.compile(block)
    report("torch bf16 compiled", median_seconds(lambda: compiled(*halves), arguments.repeat),
           total)
    try:
        import nncf
        import openvino
    except ImportError:
        return
    arrays = [t.numpy() for t in inputs]

    def export():
        return openvino.convert_model(Block().eval(), example_input=inputs)

    def run(name, model):
        options = {"INFERENCE_NUM_THREADS": arguments.threads, "INFERENCE_PRECISION_HINT": "bf16"}
        request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
        report(name, median_seconds(lambda: request.infer(arrays), arguments.repeat), total)

    run("openvino bf16", export())
    run("openvino int8 weights",
        nncf.compress_weights(export(), mode=nncf.CompressWeightsMode.INT8_ASYM))
    run("openvino W8A8 calibrated",
        nncf.quantize(export(), nncf.Dataset([arrays]), subset_size=1,
                      model_type=nncf.ModelType.TRANSFORMER))


def time_step(arguments, report):
    from diffusers import ZImageTransformer2DModel
    with torch.device("meta"):
        model = ZImageTransformer2DModel(axes_lens=[1536, 512, 512])
    model = model.to(torch.bfloat16).to_empty(device="cpu").eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.02)
    latent = arguments.size // 8
    x = [torch.randn(16, 1, latent, latent, dtype=torch.bfloat16)]
    caption, t = [torch.randn(60, 2560, dtype=torch.bfloat16)], torch.tensor([0.5])
    image, text = (arguments.size // 16) ** 2, 64
    total = operations(image + text, 30) + operations(image, 2) + operations(text, 2)
    seconds = median_seconds(lambda: model(x, t, caption, return_dict=False),
                             min(arguments.repeat, 2))
    report(f"diffusers bf16, whole step at {arguments.size}", seconds, total)


def time_decoder(arguments, report):
    from diffusers import AutoencoderKL
    from random_full_checkpoint import VAE
    vae = AutoencoderKL(**VAE).eval()
    latent = arguments.size // 8
    for dtype, layout in ((torch.float32, torch.contiguous_format),
                          (torch.bfloat16, torch.channels_last)):
        vae.to(dtype).to(memory_format=layout)
        z = torch.randn(1, 16, latent, latent, dtype=dtype).to(memory_format=layout)
        report(f"torch decode {arguments.size}, {str(dtype)[6:]}, {str(layout)[6:]}",
               median_seconds(lambda: vae.decode(z), arguments.repeat), None)


def time_encoder(arguments, report):
    from transformers import Qwen3Config, Qwen3Model
    layers = 6  # a sixth of the real depth, scaled up below
    config = Qwen3Config(
        hidden_size=2560, intermediate_size=9728, num_hidden_layers=layers, num_attention_heads=32,
        num_key_value_heads=8, head_dim=128, vocab_size=1000)
    model = Qwen3Model(config).eval().to(torch.bfloat16)
    ids = torch.randint(0, 1000, (1, arguments.tokens))
    report(f"torch bf16 encoder, {arguments.tokens} tokens, 6 x 6 layers",
           36 / layers * median_seconds(lambda: model(ids), arguments.repeat), None)


PARTS = {"block": time_block, "step": time_step, "decoder": time_decoder, "encoder": time_encoder}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--tokens", type=int, default=1088)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    rows = []

    def report(name, seconds, total):
        rate = total / seconds / 1e9 if total else None
        rows.append({"name": name, "seconds": seconds, "gops": rate})
        print(f"{name:45s} {seconds:8.3f} s" + (f" {rate:7.0f} GOP/s" if rate else ""), flush=True)

    PARTS[arguments.part](arguments, report)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
