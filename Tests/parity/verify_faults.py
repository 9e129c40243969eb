#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Show that `inkstone verify` passes a whole model, and finds and names every planted fault.

    verify_faults.py [--inkstone .build/release/inkstone] [--seed 5] [--ranks qwen.tiktoken] [--device vulkan]

A tiny checkpoint of the reference's own classes is published on a hub on this machine as Tongyi-MAI/Z-Image-Turbo, and pulled
as z-image-turbo. Each fault is planted in a copy of the pulled folder, with the list of its files and without, or in
the images of the reference. With the byte pairs of the published vocabulary, which the PyPI package dashscope has in the
file qwen.tiktoken, the known ids are tried as well. Exits with 1 when a fault is missed, or a sound model is refused. Needs the packages of
`Tests/Fixtures/tiny_checkpoint.py`.
"""

import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Fixtures"))

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import pull_proof
from make_tokenizer_fixtures import alphabet
from tiny_checkpoint import TinyConfig, build

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
OPTIONS = ["--size", "64x64", "--size", "128x96", "--steps", "3"]


class Proof:
    def __init__(self, program, root, environment, device):
        self.program, self.root, self.environment, self.device = program, root, environment, device
        # The device's name in reports, where a GPU has its number.
        self.reported = device
        self.good = True

    def report(self, passed, text):
        self.good &= passed
        print(f"{'ok' if passed else 'FAILED':6} {text}", flush=True)

    def verify(self, model, *options):
        """Exit status, the report's JSON, and the document."""
        document = self.root / "report.md"
        document.unlink(missing_ok=True)
        done = subprocess.run(
            [self.program, "verify", str(model), "--json", "--output", str(document), *OPTIONS,
             "--device", self.device, *map(str, options)],
            env=self.environment, capture_output=True, text=True, timeout=900)
        report = json.loads(done.stdout) if done.stdout else {"faults": [], "error": done.stderr}
        return done.returncode, report, document.read_text() if document.exists() else ""

    def expect(self, name, model, wanted, *options):
        """Verifies a model with a fault, which must be named as `wanted`: area and a part of subject or text."""
        status, report, _ = self.verify(model, *options)
        found = [f"{fault['area']}: {fault['subject']}: {fault['text']}" for fault in report["faults"]]
        area, part = wanted
        named = any(line.startswith(area + ":") and part in line for line in found)
        passed = named and status == (70 if area == "reference" else 65)
        self.report(passed, f"{name}: status {status}, " + ("; ".join(found)[:150] or str(report)[:300]))


def change_tensor(path, name, change):
    """Rewrites a file of weights with one tensor changed; `None` removes it."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensor = change(tensors.pop(name).clone())
    if tensor is not None:
        tensors[name] = tensor
    save_file(tensors, path, metadata)


def fill(path, name, value):
    def change(tensor):
        tensor.view(-1)[tensor.numel() // 2] = value
        return tensor
    change_tensor(path, name, change)


def flip(path):
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


def swap_merges(folder):
    """Two merges change places in every form of the tokenizer."""
    whole = folder / "tokenizer/tokenizer.json"
    tokenizer = json.loads(whole.read_text())
    merges = tokenizer["model"]["merges"]
    merges[0], merges[-1] = merges[-1], merges[0]
    whole.write_text(json.dumps(tokenizer, ensure_ascii=False))


def change_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


FOLDER_FAULTS = [
    ("a flipped byte", lambda m: flip(m / VAE), ("files", VAE), None),
    ("a truncated file", lambda m: os.truncate(m / TEXT, (m / TEXT).stat().st_size - 100), ("files", TEXT),
     ("tensors", "names and shapes")),
    ("a missing file", lambda m: (m / TRANSFORMER).unlink(), ("files", TRANSFORMER), ("tensors", "names and shapes")),
    ("a number that is none", lambda m: fill(m / TRANSFORMER, "layers.0.attention.to_k.weight", float("nan")),
     ("files", TRANSFORMER), ("tensors", "layers.0.attention.to_k.weight")),
    ("an infinite bias", lambda m: fill(m / VAE, "decoder.conv_in.bias", float("inf")),
     ("tensors", "decoder.conv_in.bias"), ("tensors", "decoder.conv_in.bias")),
    ("an absurd number", lambda m: fill(m / TEXT, "model.layers.0.input_layernorm.weight", 3e38),
     ("tensors", "layers.0.input_layernorm.weight"), ("tensors", "layers.0.input_layernorm.weight")),
    ("an empty matrix",
     lambda m: change_tensor(m / TRANSFORMER, "layers.1.feed_forward.w1.weight", torch.zeros_like),
     ("files", TRANSFORMER), ("tensors", "layers.1.feed_forward.w1.weight")),
    ("a missing tensor", lambda m: change_tensor(m / TRANSFORMER, "layers.0.ffn_norm1.weight", lambda t: None),
     ("tensors", "layers.0.ffn_norm1.weight"), ("tensors", "layers.0.ffn_norm1.weight")),
    ("a tensor of another shape",
     lambda m: change_tensor(m / VAE, "decoder.conv_out.weight", lambda t: t[:, 1:].contiguous()),
     ("tensors", "decoder.conv_out.weight"), ("tensors", "decoder.conv_out.weight")),
    ("tensors exchanged", lambda m: exchange(m / TRANSFORMER), ("files", TRANSFORMER), None),
    ("merges exchanged", swap_merges, ("files", "tokenizer/tokenizer.json"), None),
    ("another schedule", lambda m: change_json(m / "scheduler/scheduler_config.json", shift=1.0),
     ("files", "scheduler/scheduler_config.json"), None),
    ("another width", lambda m: change_json(m / "text_encoder/config.json", hidden_size=999),
     ("files", "text_encoder/config.json"), ("configuration", "model")),
]


def exchange(path):
    """Two layers have each other's weights: only the checksum can show it."""
    tensors = load_file(path)
    first, second = "layers.0.attention.to_q.weight", "layers.1.attention.to_q.weight"
    tensors[first], tensors[second] = tensors[second], tensors[first]
    save_file(tensors, path, {"format": "pt"})


def check_sound(proof, model, folder):
    """The pulled model: no fault, compared with the hub and with diffusers, no name of this machine."""
    kept = folder / "reference.safetensors"
    status, report, document = proof.verify(model, "--python", sys.executable, "--keep-reference", kept)
    runs = {run["precision"]: run for run in report.get("runs", [])}
    on_gpu = proof.device != "cpu"
    compared = report.get("files", {}).get("compared", [])
    proof.reported = next((run["device"] for run in runs.values()), proof.device)
    proof.report(
        status == 0 and not report["faults"] and set(runs) == {"f32", "f16-scaled" if on_gpu else "bf16", "int8"}
        and all((run["device"] != "cpu") == on_gpu and run["is_batch_invariant"] for run in runs.values())
        and all(("device_bytes" in image) == on_gpu for run in runs.values() for image in run["images"])
        and all(len(run["images"]) == 8 for run in runs.values())
        and all(file["state"] == "intact" for file in compared)
        and report["files"]["repository"] == "Tongyi-MAI/Z-Image-Turbo",
        f"a sound model: status {status}, {len(compared)} files, {report['faults'] or report.get('error', '')}")
    for precision, run in runs.items():
        ratios = [image["reference"].get("psnr", 99) for image in run["images"]]
        outputs = [image["reference"]["errors"]["transformer_out.0"] for image in run["images"]]
        print(f"       {precision}: PSNR {min(ratios):.1f} to {max(ratios):.1f} dB, largest error of the first output"
              f" {max(outputs):.1e}")
    # As words: a machine's name may be a part of another one, such as that of a device.
    names = [word for word in (str(model), str(folder), os.path.expanduser("~"), socket.gethostname())
             if len(word) > 1 and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", document)]
    proof.report(document != "" and not names, f"the report has no name of this machine and no path {names or ''}")
    return kept


def check_folders(proof, model, folder):
    for name, plant, with_list, without in FOLDER_FAULTS:
        for wanted, has_list in ((with_list, True), (without, False)):
            if wanted is None:
                continue
            copy = folder / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(model, copy)
            if not has_list:
                (copy / ".inkstone-pull.json").unlink()
            plant(copy)
            proof.expect(f"{name}{'' if has_list else ', without a list'}", copy, wanted,
                         "--no-reference", "--precision", "f32")


def check_reference(proof, model, kept, folder):
    """What an engine with a fault would give: other tensors than the reference."""
    with safe_open(kept, "pt") as file:
        metadata = file.metadata()
    options = ["--precision", "f32"]
    status, report, _ = proof.verify(model, *options, "--reference", kept)
    proof.report(status == 0, f"kept images of the reference: status {status}, {report['faults']}")
    for tensor in ("2-64x64/pos.input_ids", "3-64x64/pos.text_features", "1-128x96/transformer_out.0",
                   "4-64x64/latents", "2-128x96/decoded", "1-64x64/rgb8"):
        tensors = load_file(kept)
        changed = tensors[tensor].view(-1)
        if tensor.endswith("rgb8"):
            tensors[tensor] = 255 - tensors[tensor]
        else:
            changed[changed.numel() // 2] += 1 if tensor.endswith("ids") else changed.abs().max() * 0.1
        other = folder / "other.safetensors"
        save_file(tensors, other, metadata)
        name, _, part = tensor.partition("/")
        part = "PSNR" if part == "rgb8" else part
        proof.expect(f"an engine with another {tensor}", model, ("reference", f"{proof.reported} f32 {name}: "), *options,
                     "--reference", other)
        _, report, _ = proof.verify(model, *options, "--reference", other)
        proof.report(len(report["faults"]) == 1 and part in report["faults"][0]["text"], f"it alone is named: {part}")


def split(token, ranks):
    """The two parts that were merged last: byte pairs are merged in the order of their ranks."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(first + second, len(ranks)) for first, second in zip(parts, parts[1:])]
        # A pair without a rank is merged last.
        at = min(range(len(pairs)), key=lambda index: pairs[index])
        parts[at:at + 2] = [parts[at] + parts[at + 1]]
    return parts


def write_published_vocabulary(model, file):
    """Gives a tiny model the published vocabulary, with an embedding for it."""
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, file.read_text().splitlines())}

    characters = alphabet()

    def symbols(token):
        return "".join(characters[byte] for byte in token)

    folder = model / "tokenizer"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({symbols(token): rank for token, rank in ranks.items()}))
    merges = [" ".join(map(symbols, split(token, ranks))) for token in ranks if len(token) > 1]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
             "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
             "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
             "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>",
             "<think>", "</think>"]
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": {str(len(ranks) + number): {
            "content": text, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
            "special": True} for number, text in enumerate(added)}}))
    rows = 151_936
    change_json(model / "text_encoder/config.json", vocab_size=rows)
    name = next(name for name in load_file(model / TEXT) if name.endswith("embed_tokens.weight"))
    change_tensor(model / TEXT, name, lambda t: torch.randn(rows, t.shape[1]).to(t.dtype))


def check_vocabulary(proof, model, ranks):
    """The published vocabulary has the known ids; one with two merges exchanged has not."""
    write_published_vocabulary(model, ranks)
    options = ["--no-reference", "--precision", "f32"]
    status, report, _ = proof.verify(model, *options)
    tokenizer = report.get("tokenizer", {})
    proof.report(status == 0 and tokenizer.get("is_published") and tokenizer.get("mismatches") == 0,
                 f"the published vocabulary: status {status}, {tokenizer}, {report['faults'][:1]}")
    file = model / "tokenizer/merges.txt"
    lines = file.read_text().splitlines()
    words = [index for index, line in enumerate(lines) if line in ("Ġc at", "Ġl eading", "Ġle ading")]
    assert words, "a merge of the known texts"
    del lines[words[0]]
    file.write_text("\n".join(lines) + "\n")
    proof.expect("a merge of the published vocabulary missing", model, ("tokenizer", "expected the ids"), *options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--device", default="cpu", help="of the images, as in 'inkstone verify'")
    parser.add_argument("--ranks", type=pathlib.Path, help="byte pairs of the published vocabulary, qwen.tiktoken")
    arguments = parser.parse_args()
    pull_proof.REPOSITORY = "Tongyi-MAI/Z-Image-Turbo"
    hub = pull_proof.Hub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="inkstone-verify-") as name:
        folder = pathlib.Path(name)
        published = folder / "published"
        build(TinyConfig(seed=arguments.seed, layers=2, store="bfloat16"), published)
        hub.files = {str(p.relative_to(published)): p.read_bytes() for p in published.rglob("*") if p.is_file()}
        environment = {**os.environ, "INKSTONE_MODELS": str(folder / "models"), "HF_ENDPOINT": hub.address}
        environment.pop("PYTHON", None)
        program = str(pathlib.Path(arguments.inkstone).resolve())
        subprocess.run([program, "models", "pull", "z-image-turbo"], env=environment, check=True)
        model = folder / "models" / "Z-Image-Turbo"
        proof = Proof(program, folder, environment, arguments.device)
        kept = check_sound(proof, model, folder)
        check_folders(proof, model, folder)
        check_reference(proof, model, kept, folder)
        # The list of the hub in place of the stored one.
        (model / ".inkstone-pull.json").unlink()
        status, report, _ = proof.verify(model, "--no-reference", "--repository", "z-image-turbo")
        proof.report(status == 0 and report["files"].get("commit") == "c0ffee", f"the hub's own list: status {status}")
        flip(model / VAE)
        proof.expect("a flipped byte, by the hub's own list", model, ("files", VAE), "--no-reference",
                     "--repository", "z-image-turbo")
        if arguments.ranks:
            sound = folder / "sound"
            shutil.copytree(published, sound)
            check_vocabulary(proof, sound, arguments.ranks)
    hub.shutdown()
    return 0 if proof.good else 1


if __name__ == "__main__":
    sys.exit(main())
