# Part of Inkstone. Licence: see LICENSE.
"""Byte-level BPE with Qwen2's split rule and chat template, trained on the world's prompts."""

import json
import random
import shutil

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

from . import prompts, words, world
from .model import REGISTERS

SIZE = 2500
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
ADDED = ["<think>", "</think>"]
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEMPLATE = (
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}")


def corpus(seed):
    rng = random.Random(f"{seed} tokenizer")
    for i in range(40000):
        yield prompts.training_caption(prompts.training_scene(rng, 128), rng)[0]
    for thing in world.things():
        yield from (thing.en + thing.zh) * 12
    for language in ("en", "zh"):  # so that prompts it does not know do not fall apart into bytes
        yield from words.unknown_words(language) * 2
    yield from ["user\nassistant\n", "system\n"] * 2000


def train_tokenizer(run):
    folder = run.path("tokenizer")
    if folder.exists():
        return
    if run.start_from:
        shutil.copytree(run.start_from / "tokenizer", folder)
        return
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(run.seed), trainers.BpeTrainer(
        vocab_size=SIZE, min_frequency=1, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in ADDED])
    partial = run.path("tokenizer.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    tokenizer.save(str(partial / "tokenizer.json"))
    (partial / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    (partial / "tokenizer_config.json").write_text(json.dumps({
        "add_bos_token": False, "add_prefix_space": False, "bos_token": None, "eos_token": "<|im_end|>",
        "additional_special_tokens": SPECIAL[1:], "clean_up_tokenization_spaces": False,
        "errors": "replace", "model_max_length": 131072, "pad_token": "<|endoftext|>",
        "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None},
        ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    partial.rename(folder)


class Prompts:
    """Prompts to padded ids, wrapped as the pipeline wraps them."""

    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.before = self.tokenizer("<|im_start|>user\n").input_ids
        self.after = self.tokenizer("<|im_end|>\n<|im_start|>assistant\n").input_ids
        assert len(self.after) == REGISTERS
        self.padding = self.tokenizer.pad_token_id

        self.around = len(self.before) + REGISTERS  # tokens of the template

    def __len__(self):
        return len(self.tokenizer)

    def count(self, text):
        return len(self.tokenizer(text).input_ids)

    def batch(self, texts, length=None):
        """`(ids, mask)`, `[batch, length]`; the length is the least multiple of 32 that fits all, and
        longer prompts are cut before the template's end."""
        rows = self.tokenizer(list(texts)).input_ids
        longest = max(map(len, rows)) + self.around
        length = length or -(-longest // 32) * 32
        ids = torch.full((len(rows), length), self.padding)
        mask = torch.zeros(len(rows), length, dtype=torch.bool)
        for i, row in enumerate(rows):
            row = self.before + row[:length - self.around] + self.after
            ids[i, :len(row)] = torch.tensor(row)
            mask[i, :len(row)] = True
        return ids, mask
