#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Write tiny Z-Image checkpoints with random weights, in the diffusers folder layout.

    tiny_checkpoint.py OUT [--seed 0] [--dim 48] [--heads 2] [--store float32] ...

The modules are the reference's own classes, only narrow, so a checkpoint has every tensor name,
config field and file name that a real one has. Every parameter gets a value that matters: norm
weights are away from 1, biases and pad tokens away from 0, so that a forgotten term shows.
Needs torch, diffusers, transformers, tokenizers and safetensors; a few seconds on a CPU.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import re

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, Qwen3Config, Qwen3Model

SPECIAL_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"
]
# Added tokens that Qwen does not flag "special"; when encoding they behave the same.
PLAIN_TOKENS = ["<think>", "</think>"]

SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{%- for m in messages %}"
    "{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}{%- endif %}"
)
CORPUS = [
    "a cat sits on the red chair, it's 12 o'clock",
    "the quick brown fox jumps over the lazy dog!!",
    "user assistant system\nuser\nassistant\n",
    "photo of a mountain lake at sunset, 4k, detailed",
    "一只猫坐在红色的椅子上。",
    "café naïve déjà-vu ÅÄÖ",
    "don't we'll they've I'm",
    "  spaces\t tabs \n\n newlines",
]


@dataclasses.dataclass
class TinyConfig:
    """The size and the storage of one checkpoint; the defaults are small but not degenerate."""

    seed: int = 0
    # Transformer.
    dim: int = 48
    heads: int = 2
    axes: tuple = (8, 8, 8)
    layers: int = 2
    refiners: int = 1
    channels: int = 16
    # Text encoder: `text_heads * text_head_dim` need not equal `text_dim`.
    vocabulary: int = 300
    vocabulary_padding: int = 13
    text_dim: int = 32
    text_ffn: int = 64
    text_layers: int = 3
    text_heads: int = 4
    text_kv_heads: int = 2
    text_head_dim: int = 16
    # Autoencoder.
    vae_channels: tuple = (8, 16, 16, 16)
    vae_layers: int = 1
    vae_groups: int = 4
    vae_quant_convs: bool = False
    # Scheduler.
    shift: float = 3.0
    dynamic_shift: bool = False
    # Files. `shard` is a limit such as "40KB"; `text_naming` is "released" (a `model.` prefix and
    # `rope_theta`) or "modern" (no prefix and `rope_parameters`); `tokenizer_files` is "all",
    # "vocabulary" (vocab.json and merges.txt) or "modern" (tokenizer.json, chat_template.jinja).
    store: str = "bfloat16"
    shard: str | None = None
    text_naming: str = "released"
    tokenizer_files: str = "all"

    def check(self):
        """Refuse sizes that the reference classes would accept and then fail on."""
        head = self.dim // self.heads
        if self.dim % self.heads or sum(self.axes) != head or any(a % 2 for a in self.axes):
            raise SystemExit(
                f"axes {self.axes} must be even and sum to dim / heads = {self.dim}/{self.heads}"
            )
        if any(c % self.vae_groups for c in self.vae_channels):
            raise SystemExit(f"{self.vae_channels} must divide by {self.vae_groups} groups")


def write_json(path, value):
    """Write compact JSON: the fixtures are in the repository and every kilobyte is cloned."""
    pathlib.Path(path).write_text(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )


def train_tokenizer(vocabulary):
    """A byte-level BPE with Qwen2's normaliser, split rule and alphabet."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT_PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=1, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.add_special_tokens(
        [AddedToken(t, normalized=False, special=True) for t in SPECIAL_TOKENS]
    )
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in PLAIN_TOKENS])
    return tokenizer


def write_tokenizer(folder, vocabulary, files="all"):
    """Train a tokenizer and write it in one of the three file layouts met in the wild."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = json.loads(train_tokenizer(vocabulary).to_str())
    if files != "vocabulary":
        write_json(folder / "tokenizer.json", data)
    if files != "modern":
        write_json(folder / "vocab.json", data["model"]["vocab"])
        merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
        (folder / "merges.txt").write_text(
            "\n".join(["#version: 0.2"] + merges) + "\n", encoding="utf-8"
        )
    config = {
        "add_prefix_space": False, "bos_token": None, "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>", "errors": "replace", "model_max_length": 131072,
        "pad_token": "<|endoftext|>", "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer", "unk_token": None,
    }
    if files == "modern":
        config["extra_special_tokens"] = SPECIAL_TOKENS[1:]
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    else:
        flags = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
        config["added_tokens_decoder"] = {
            str(t["id"]): {k: t[k] for k in flags} for t in data["added_tokens"]
        }
        config["additional_special_tokens"] = SPECIAL_TOKENS[1:]
        config["chat_template"] = CHAT_TEMPLATE
    write_json(folder / "tokenizer_config.json", config)
    return AutoTokenizer.from_pretrained(folder)


@torch.no_grad()
def randomize(model, generator, gain=1.0):
    """Draw every parameter so that a term left out changes the result."""
    for name, parameter in sorted(model.named_parameters()):
        draw = torch.randn(parameter.shape, generator=generator)
        if name.endswith("pad_token") or "embed_tokens" in name:
            value = draw
        elif parameter.ndim >= 2:
            value = draw * gain / math.sqrt(parameter[0].numel())
        elif re.search(r"norm|cap_embedder\.0", name) and name.endswith("weight"):
            value = 1 + 0.2 * draw
        else:
            value = 0.1 * draw
        parameter.copy_(value)


def make_text_encoder(config, vocabulary_size, tokenizer):
    return Qwen3Model(Qwen3Config(
        vocab_size=vocabulary_size, hidden_size=config.text_dim,
        intermediate_size=config.text_ffn, num_hidden_layers=config.text_layers,
        num_attention_heads=config.text_heads, num_key_value_heads=config.text_kv_heads,
        head_dim=config.text_head_dim, rms_norm_eps=1e-6, rope_theta=1e6,
        max_position_embeddings=40960, tie_word_embeddings=True, attention_bias=False,
        bos_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )).eval()


def make_transformer(config):
    return ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=config.channels, dim=config.dim,
        n_layers=config.layers, n_refiner_layers=config.refiners, n_heads=config.heads,
        n_kv_heads=config.heads, norm_eps=1e-5, qk_norm=True, cap_feat_dim=config.text_dim,
        rope_theta=256.0, t_scale=1000.0, axes_dims=list(config.axes),
        axes_lens=[1536, 512, 512],
    ).eval()


def make_vae(config):
    count = len(config.vae_channels)
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=config.channels,
        block_out_channels=list(config.vae_channels), layers_per_block=config.vae_layers,
        down_block_types=["DownEncoderBlock2D"] * count,
        up_block_types=["UpDecoderBlock2D"] * count, norm_num_groups=config.vae_groups,
        sample_size=1024, scaling_factor=0.3611, shift_factor=0.1159,
        use_quant_conv=config.vae_quant_convs, use_post_quant_conv=config.vae_quant_convs,
        mid_block_add_attention=True,
    ).eval()


def build(config, folder):
    """Write the checkpoint that `config` describes into `folder`."""
    config.check()
    folder = pathlib.Path(folder)
    torch.manual_seed(config.seed)
    generator = torch.Generator("cpu").manual_seed(config.seed)
    tokenizer = write_tokenizer(
        folder / "tokenizer", config.vocabulary, config.tokenizer_files
    )
    # More embedding rows than tokens, as in the real model.
    rows = len(tokenizer) + config.vocabulary_padding
    text_encoder = make_text_encoder(config, rows, tokenizer)
    transformer = make_transformer(config)
    vae = make_vae(config)
    for model, gain in ((text_encoder, 1.0), (transformer, 1.0), (vae, 0.8)):
        randomize(model, generator, gain)
    store = getattr(torch, config.store)
    pipeline = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            num_train_timesteps=1000, shift=config.shift,
            use_dynamic_shifting=config.dynamic_shift,
        ),
        vae=vae.to(store), text_encoder=text_encoder.to(store), tokenizer=tokenizer,
        transformer=transformer.to(store),
    )
    written = {p: p.read_bytes() for p in (folder / "tokenizer").iterdir()}
    pipeline.save_pretrained(folder, **({"max_shard_size": config.shard} if config.shard else {}))
    # The library rewrites the tokenizer in its current layout; put ours back.
    for path in (folder / "tokenizer").iterdir():
        if path not in written:
            path.unlink()
    for path, data in written.items():
        path.write_bytes(data)
    if config.text_naming == "released":
        release_text_encoder(folder / "text_encoder", config.store)


def release_text_encoder(folder, store):
    """Rename to what released files use: a `model.` prefix and a top-level `rope_theta`."""
    for path in sorted(folder.glob("*.safetensors")):
        tensors = {"model." + name: tensor for name, tensor in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})
    for path in folder.glob("*.index.json"):
        index = json.loads(path.read_text())
        index["weight_map"] = {"model." + k: v for k, v in index["weight_map"].items()}
        write_json(path, index)
    path = folder / "config.json"
    fields = json.loads(path.read_text())
    for key in ("rope_parameters", "layer_types", "dtype"):
        fields.pop(key, None)
    fields.update(
        architectures=["Qwen3ForCausalLM"], rope_theta=1000000, rope_scaling=None,
        torch_dtype=store, transformers_version="4.51.0",
    )
    write_json(path, dict(sorted(fields.items())))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out")
    for field in dataclasses.fields(TinyConfig):
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true")
        elif isinstance(field.default, tuple):
            parser.add_argument(
                flag, default=field.default, help="numbers with commas between",
                type=lambda text: tuple(int(v) for v in text.split(",")),
            )
        else:
            kind = str if field.default is None else type(field.default)
            parser.add_argument(flag, type=kind, default=field.default)
    values = vars(parser.parse_args())
    build(TinyConfig(**{k: v for k, v in values.items() if k != "out"}), values["out"])


if __name__ == "__main__":
    main()
