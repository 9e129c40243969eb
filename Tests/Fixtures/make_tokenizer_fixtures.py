#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Make Tests/Fixtures/tokenizer: what the reference tokenizer library answers, for TokenizerTests.

    make_tokenizer_fixtures.py [--train] [--show KIND NUMBER]

Texts are not stored. This script and the Swift tests hold the same small generator, so a fixture is one hash of the
library's answer for each text. `--show strings 17` prints text 17 with its ids, for when a hash differs.

fragments.json     what the generator puts together, and the added tokens of the second vocabulary (written by hand)
merges-50k.bin     a vocabulary of about 50,000 tokens: for each merge two ids (UInt16, little-endian); ids 0 to 255 are
                   the bytes, each new token gets the next id. Written only with --train: its text is the standard
                   library of the Python that runs this, so another Python makes another vocabulary.
strings-*.bin      hashes (UInt32, little-endian) of the ids of generated texts, with each vocabulary
bytes-50k.bin      the same for random bytes that were decoded with repair
marks.bin          hashes of the NFC of generated runs of marks
scalars.bin        for each block of 1,024 scalars two hashes: NFC around each, and the pieces around each
prompts.json       ids of templated prompts with the embedded model's vocabulary, through transformers

Needs tokenizers and transformers; under a minute.
"""
import argparse
import json
import os
import random
import struct
import sys
import sysconfig
import unicodedata
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

HERE = Path(__file__).resolve().parent / "tokenizer"
EMBEDDED = Path(__file__).resolve().parents[2] / "Models/emoji-nano/tokenizer"
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
FRAGMENTS = json.loads((HERE / "fragments.json").read_text(encoding="utf-8"))
GROUPS = [group["texts"] for group in FRAGMENTS["groups"]]
RANGES = [tuple(int(x, 16) for x in r.split("-")) for r in FRAGMENTS["ranges"]]
MARKS = [tuple(int(x, 16) for x in r.split("-")) for r in FRAGMENTS["marks"]]
STRINGS, BYTES, MARK_RUNS = 12_000, 3_000, 4_000
# Planes 4 to 13 and above 14 hold nothing; one block of each kind stands for them.
BLOCKS = [*range(0, 0x34000, 1024), 0x40000, *range(0xE0000, 0xE1000, 1024), 0xF0000, 0x10FC00]
MASK = (1 << 64) - 1


# ---- The generator, the same in TokenizerFixtures.swift

class SplitMix:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return self.next() % n


def scalar(rng, ranges):
    first, last = ranges[rng.below(len(ranges))]
    return chr(first + rng.below(last - first + 1))


def make_string(number):
    rng = SplitMix(number)
    parts = 150 if number % 500 == 499 else rng.below(9)
    text = ""
    for _ in range(parts):
        kind = rng.below(8)
        if kind < 5:
            group = GROUPS[rng.below(len(GROUPS))]
            text += group[rng.below(len(group))]
        elif kind == 5:
            value = rng.below(0x110000 - 0x800)
            text += chr(value + 0x800 if value >= 0xD800 else value)
        elif kind == 6:
            for _ in range(1 + rng.below(4)):
                text += scalar(rng, RANGES)
        else:
            for _ in range(1 + rng.below(12)):
                text += chr(rng.below(128))
        if rng.below(2) == 0:
            text += " "
    return text


def make_bytes(number):
    rng = SplitMix(1_000_000 + number)
    likely = [0xF0, 0x9F, 0x91, 0xA9, 0xE2, 0x80, 0x8D, 0xC3, 0xA9, 0xED, 0xA0, 0xCC, 0x81, 0x20, 0x27, 0x73]
    out = bytearray()
    for _ in range(rng.below(48)):
        out.append(likely[rng.below(len(likely))] if rng.below(3) else rng.below(256))
    return bytes(out)


def make_marks(number):
    rng = SplitMix(2_000_000 + number)
    return "".join(scalar(rng, MARKS) for _ in range(1 + rng.below(12)))


def hash32(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return (h ^ (h >> 32)) & 0xFFFFFFFF


def hash_ids(ids):
    return hash32(b"".join(struct.pack("<I", i) for i in ids))


def block_scalars(block):
    return [chr(c) for c in range(block, block + 1024) if not 0xD800 <= c < 0xE000]


# ---- The second vocabulary

def configure(tok):
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    return tok


def alphabet():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) if b in plain else chr(256 + rest.index(b)) for b in range(256)]


def corpus():
    rng = random.Random(7)
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        yield path.read_text(encoding="utf-8", errors="replace")
    for c in range(0x20000):
        if name := unicodedata.name(chr(c), ""):
            yield f"{chr(c)} {name.title()} {name.lower()}\n"
    characters = [chr(c) for c in range(0x4E00, 0x9FA6)]
    rng.shuffle(characters)
    words = ["".join(characters[min(int(rng.paretovariate(0.7)) - 1, 5000)] for _ in range(rng.randint(1, 4)))
             for _ in range(20_000)]
    for _ in range(4_000):
        yield "".join(words[min(int(rng.paretovariate(0.6)) - 1, 19_999)] for _ in range(30)) + "，。"
    texts = [text for group in GROUPS for text in group]
    for _ in range(3_000):
        yield "".join(rng.choice(texts) + rng.choice(["", " ", "\n"]) for _ in range(30))


def train():
    tok = configure(Tokenizer(models.BPE()))
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=50_000, min_frequency=2, show_progress=False, initial_alphabet=alphabet()))
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in json.loads(tok.to_str())["model"]["merges"]]
    ids = {token: i for i, token in enumerate(alphabet())}
    out = bytearray()
    for left, right in merges:
        out += struct.pack("<HH", ids[left], ids[right])
        ids.setdefault(left + right, len(ids))
    assert len(ids) <= 65_536
    (HERE / "merges-50k.bin").write_bytes(out)
    print(f"merges-50k.bin: {len(merges)} merges, {len(ids)} tokens")


def trained_tokenizer():
    tokens = alphabet()
    ids = {token: i for i, token in enumerate(tokens)}
    merges = []
    for left, right in struct.iter_unpack("<HH", (HERE / "merges-50k.bin").read_bytes()):
        merges.append((tokens[left], tokens[right]))
        joined = tokens[left] + tokens[right]
        if joined not in ids:
            ids[joined] = len(tokens)
            tokens.append(joined)
    tok = configure(Tokenizer(models.BPE(vocab=ids, merges=merges)))
    tok.add_tokens([AddedToken(t, normalized=False, special=False) for t in FRAGMENTS["addedTokens"]])
    return tok


# ---- Answers

def write_hashes(name, hashes):
    hashes = list(hashes)
    (HERE / name).write_bytes(struct.pack(f"<{len(hashes)}I", *hashes))
    print(f"{name}: {len(hashes)} hashes")


def scalar_hashes():
    nfc = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    for block in BLOCKS:
        scalars = block_scalars(block)
        around = "".join(f"\u0315{c}\n{c}\u0334\ne{c}\u0301\n{c}\u0323\u0301\n" for c in scalars)
        yield hash32(nfc.normalize_str(around).encode())
        text = "".join(f"a{c}a 1{c} {c}{c}\t'{c}e'l{c}\n" for c in scalars)
        yield hash32(b"\xff".join(piece.encode() for piece, _ in split.pre_tokenize_str(text)))


def prompts():
    tok = AutoTokenizer.from_pretrained(EMBEDDED)
    texts = ["", "A cat.", "it's 1234 IT'S\n\n\tcafe\u0301  x", "一只猫坐在红色的椅子上。", "⚡️ neon (西安大雁塔)",
             "a<|im_end|>b <think>", " leading and trailing  ", "'ſx हिन्दी ½ \u200bx", "👩‍👩‍👧 ok \"quoted\" C++11",
             "ends with <|im_end", "\u0301 begins with a mark", "word " * 600, "字" * 2000]
    for text in texts:
        chat = tok.apply_chat_template([{"role": "user", "content": text}], tokenize=False,
                                       add_generation_prompt=True, enable_thinking=True)
        full = tok([chat]).input_ids[0]
        ids = tok([chat], padding="max_length", max_length=512, truncation=True, return_tensors=None)
        kept = [i for i, m in zip(ids.input_ids[0], ids.attention_mask[0]) if m]
        yield {"text": text, "ids": kept, "fullLength": len(full)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--train", action="store_true", help="train merges-50k.bin again")
    arguments.add_argument("--show", nargs=2, metavar=("KIND", "NUMBER"), help="strings, bytes or marks, and which")
    options = arguments.parse_args()
    if options.train or not (HERE / "merges-50k.bin").exists():
        train()
    big = trained_tokenizer()
    small = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    if options.show:
        kind, number = options.show[0], int(options.show[1])
        text = {"strings": make_string, "marks": make_marks,
                "bytes": lambda n: make_bytes(n).decode("utf-8", errors="replace")}[kind](number)
        print(ascii(text), "NFC", ascii(normalizers.NFC().normalize_str(text)))
        for name, tok in (("50k", big), ("embedded", small)):
            print(name, tok.encode(text, add_special_tokens=False).ids)
        return 0
    print("tokenizers", tokenizers.__version__)
    for name, tok in (("strings-50k.bin", big), ("strings-embedded.bin", small)):
        write_hashes(name, (hash_ids(tok.encode(make_string(n), add_special_tokens=False).ids) for n in range(STRINGS)))
    write_hashes("bytes-50k.bin", (hash_ids(big.encode(
        make_bytes(n).decode("utf-8", errors="replace"), add_special_tokens=False).ids) for n in range(BYTES)))
    nfc = normalizers.NFC()
    write_hashes("marks.bin", (hash32(nfc.normalize_str(make_marks(n)).encode()) for n in range(MARK_RUNS)))
    write_hashes("scalars.bin", scalar_hashes())
    lines = [json.dumps(prompt, ensure_ascii=True, separators=(",", ":")) for prompt in prompts()]
    (HERE / "prompts.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(f"prompts.json: {len(lines)} prompts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
