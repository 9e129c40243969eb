#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Run a small model from every format of weights, and compare with the same weights in plain f32.

    weight_formats.py [--inkstone .build/release/inkstone] [--only TEXT] [--corrupt 200] [--seed 0]

GGUF files are written by the package `gguf`, quantised by it where it can and otherwise made of random
valid blocks; what they mean is what its decoder says. Files in ComfyUI's formats are written here,
fp8 by torch. Every file is run by the engine, and so is a folder in the diffusers layout that holds the
decoded numbers in f32: text features, the transformer's output and latents must agree. Then come files
that must be refused by name, and files that a seeded mutator damaged, which must give an error or a
picture, never a crash. Exits with 1 if anything differs. Needs torch, diffusers, transformers, gguf.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Fixtures"))

import gguf
import numpy
import torch
from safetensors.torch import load_file, save_file

import tiny_checkpoint

LIMIT = 2e-5  # of the largest number; the decoded weights themselves differ by a rounding at most
RUN = [
    "a cat on a red chair", "--width", "64", "--height", "64", "--steps", "2", "--seed", "3",
    "--precision", "f32", "--no-weight-cache", "--json",
]
Q = gguf.GGMLQuantizationType
# Where blocks that the package cannot make keep their factors.
FACTORS = {
    Q.Q2_K: (80, 82), Q.Q3_K: (108,), Q.Q4_K: (0, 2), Q.Q5_K: (0, 2), Q.Q6_K: (208,),
    Q.IQ4_XS: (0,), Q.IQ4_NL: (0,),
}


def base_model(folder, seed):
    """A small model whose rows can be cut into blocks of 256, with the release's proportions."""
    tiny_checkpoint.build(
        tiny_checkpoint.TinyConfig(
            seed=seed, dim=768, heads=6, axes=(32, 48, 48), layers=1, refiners=1, text_dim=256,
            text_ffn=512, text_layers=3, text_heads=4, text_kv_heads=2, text_head_dim=64,
            vae_channels=(32, 32, 64, 64), vae_groups=32, store="float32"), folder)


# Names


def native_transformer(state):
    """The names and fused matrices of the authors' own code."""
    native = {}
    for name, tensor in state.items():
        if name.endswith("attention.to_q.weight"):
            block = name.removesuffix("to_q.weight")
            native[block + "qkv.weight"] = torch.cat(
                [state[f"{block}to_{part}.weight"] for part in "qkv"])
        elif not name.endswith(("to_k.weight", "to_v.weight")):
            for own, other in (
                ("all_x_embedder.2-1.", "x_embedder."), ("all_final_layer.2-1.", "final_layer."),
                ("to_out.0", "out"), ("norm_q", "q_norm"), ("norm_k", "k_norm"),
            ):
                name = name.replace(own, other)
            native[name] = tensor
    return native


def diffusers_transformer(native, names):
    """The way back: what each of diffusers' `names` is."""
    state = {}
    for name in names:
        other = name
        for own, short in (
            ("all_x_embedder.2-1.", "x_embedder."), ("all_final_layer.2-1.", "final_layer."),
            ("to_out.0", "out"), ("norm_q", "q_norm"), ("norm_k", "k_norm"),
        ):
            other = other.replace(own, short)
        for index, part in enumerate(("to_q", "to_k", "to_v")):
            if name.endswith(part + ".weight"):
                fused = native[name.removesuffix(part + ".weight") + "qkv.weight"]
                state[name] = fused.chunk(3)[index].clone()
        if name not in state:
            state[name] = native[other]
    return state


GGUF_TEXT = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_text_name(name):
    name = name.removeprefix("model.")
    if not name.startswith("layers."):
        return {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[name]
    _, number, part = name.removesuffix(".weight").split(".", 2)
    return f"blk.{number}.{GGUF_TEXT[part]}.weight"


def bfl_autoencoder(state):
    """The names of the autoencoder's first code base."""
    levels = 1 + max(int(n.split(".")[2]) for n in state if n.startswith("decoder.up_blocks."))
    native = {}
    for name, tensor in state.items():
        words = name.split(".")
        side, rest = words[0], words[1:]
        if rest[0] in ("down_blocks", "up_blocks"):
            way = rest[0].removesuffix("_blocks")
            level = int(rest[1]) if way == "down" else levels - 1 - int(rest[1])
            if rest[2] == "resnets":
                tail = ".".join(rest[4:]).replace("conv_shortcut", "nin_shortcut")
                name = f"{side}.{way}.{level}.block.{rest[3]}.{tail}"
            else:
                name = f"{side}.{way}.{level}.{way}sample.{'.'.join(rest[4:])}"
        elif rest[0] == "mid_block" and rest[1] == "resnets":
            name = f"{side}.mid.block_{int(rest[2]) + 1}.{'.'.join(rest[3:])}"
        elif rest[0] == "mid_block":
            part = {
                "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"
            }[rest[3]]
            name = f"{side}.mid.attn_1.{part}.{rest[-1]}"
            if tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
        name = name.replace("conv_norm_out", "norm_out")
        native[name] = tensor.contiguous()
    return native


# GGUF


def quantized(array, kind, generator):
    """Raw blocks of a matrix, and the numbers that they mean."""
    try:
        raw = gguf.quants.quantize(array, kind)
    except NotImplementedError:
        size, width = gguf.constants.GGML_QUANT_SIZES[kind]
        raw = generator.integers(
            0, 256, (array.shape[0], array.shape[1] // size * width), dtype=numpy.uint8)
        blocks = raw.reshape(-1, width)

        def factor(value):
            for offset in FACTORS[kind]:
                blocks[:, offset:offset + 2] = numpy.array([value], numpy.float16).view(numpy.uint8)

        factor(1)
        spread = gguf.quants.dequantize(raw, kind).std()
        factor(1 / (spread * array.shape[1] ** 0.5))
    return raw, gguf.quants.dequantize(raw, kind).astype(numpy.float32)


def is_matrix(name, tensor):
    return tensor.ndim == 2 and "pad_token" not in name and "adaLN" not in name and not any(
        word in name for word in ("embedder", "final_layer"))


def write_gguf(path, tensors, kind, architecture, generator, describe=lambda writer: None):
    """Writes tensors, big matrices as `kind`, others as f32; returns what they mean."""
    writer = gguf.GGUFWriter(path, architecture)
    describe(writer)
    meaning = {}
    for name, tensor in tensors.items():
        array = tensor.float().numpy()
        if is_matrix(name, tensor) and kind is not Q.F32:
            raw, array = quantized(array, kind, generator)
            if kind is Q.F16:
                raw = array.astype(numpy.float16)
            writer.add_tensor(name, raw, raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
        meaning[name] = torch.from_numpy(numpy.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meaning


def describe_text(model):
    """What a GGUF file of a text encoder says about itself, tokenizer included."""
    config = json.loads((model / "text_encoder/config.json").read_text())
    tokenizer = model / "tokenizer"
    ids = json.loads((tokenizer / "vocab.json").read_text())
    added = json.loads((tokenizer / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    texts = {number: text for text, number in ids.items()}
    texts.update({int(number): token["content"] for number, token in added.items()})
    size = config["vocab_size"]
    merges = (tokenizer / "merges.txt").read_text().splitlines()[1:]

    def describe(writer):
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_head_count(config["num_attention_heads"])
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_key_length(config["head_dim"])
        writer.add_rope_freq_base(config["rope_theta"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list([texts.get(i, f"[PAD{i}]") for i in range(size)])
        kinds = {True: gguf.TokenType.CONTROL, False: gguf.TokenType.NORMAL}
        writer.add_token_types([
            kinds[str(i) in added] if i in texts else gguf.TokenType.UNUSED for i in range(size)])
        writer.add_token_merges(merges)

    return describe


# ComfyUI


def hadamard(size):
    small = numpy.array(
        [[1, 1, 1, -1], [1, 1, -1, 1], [1, -1, 1, 1], [-1, 1, 1, 1]], numpy.float64) / 2
    matrix = numpy.ones((1, 1))
    while len(matrix) < size:
        matrix = numpy.kron(matrix, small)
    return torch.from_numpy(matrix)


def mark(**fields):
    return torch.tensor(list(json.dumps(fields).encode()), dtype=torch.uint8)


def swizzled(scales):
    """Scales in tiles of 128 rows and 4 columns, as cuBLAS wants them."""
    rows, columns = scales.shape
    padded = torch.zeros(-(-rows // 128) * 128, -(-columns // 4) * 4, dtype=scales.dtype)
    padded[:rows, :columns] = scales
    tiles = padded.view(len(padded) // 128, 4, 32, -1, 4)
    return tiles.permute(0, 3, 2, 1, 4).reshape(padded.shape).contiguous()


E2M1 = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6])


def comfy(native, form, prefix=""):
    """A file's tensors, its metadata and the numbers that they mean, by module."""
    stored, metadata, meaning, layers = {}, {}, {}, {}
    for name, tensor in native.items():
        if form == "bf16":
            stored[prefix + name] = tensor.bfloat16()
            meaning[name] = tensor.bfloat16().float()
            continue
        if not is_matrix(name, tensor):
            stored[prefix + name] = tensor.bfloat16()
            meaning[name] = tensor.bfloat16().float()
            continue
        module = prefix + name.removesuffix(".weight")
        if form == "fp8 cast":
            stored[prefix + name] = tensor.to(torch.float8_e4m3fn)
            meaning[name] = stored[prefix + name].float()
        elif form in ("fp8 scaled", "fp8 of metadata", "e5m2 of old"):
            kind = torch.float8_e5m2 if "e5m2" in form else torch.float8_e4m3fn
            scale = (tensor.abs().max() / 400).reshape(())
            stored[prefix + name] = (tensor / scale).to(kind)
            meaning[name] = stored[prefix + name].float() * scale
            if form == "e5m2 of old":
                stored[module + ".scale_weight"] = scale.reshape(1)
                stored[module + ".scale_input"] = torch.ones(1)
                stored[prefix + "scaled_fp8"] = torch.zeros(2).to(kind)
            else:
                stored[module + ".weight_scale"] = scale
                stored[module + ".input_scale"] = torch.tensor(1.0)
            if form == "fp8 scaled":
                stored[module + ".comfy_quant"] = mark(format="float8_e4m3fn")
            layers[module] = {"format": "float8_e4m3fn"}
        elif form in ("int8 rows", "int8 convrot", "int8 whole"):
            weight = tensor.double()
            if "convrot" in form:
                weight = (weight.view(len(weight), -1, 256) @ hadamard(256)).view_as(weight)
            scale = weight.abs().amax(1, keepdim=True) / 127
            if form == "int8 whole":
                scale = scale.max().reshape(())
            scale = scale.float()
            stored[prefix + name] = (weight / scale).round().clamp(-127, 127).to(torch.int8)
            stored[module + ".weight_scale"] = scale
            fields = {"convrot": True, "convrot_groupsize": 256} if "convrot" in form else {}
            stored[module + ".comfy_quant"] = mark(format="int8_tensorwise", **fields)
            weight = stored[prefix + name].double() * scale
            if "convrot" in form:
                weight = (weight.view(len(weight), -1, 256) @ hadamard(256)).view_as(weight)
            meaning[name] = weight.float()
        elif form == "nvfp4":
            whole = tensor.abs().max() / (448 * 6)
            runs = tensor.view(len(tensor), -1, 16)
            scales = (runs.abs().amax(2) / 6 / whole).to(torch.float8_e4m3fn)
            steps = (scales.float() * whole)[..., None].clamp_min(1e-20)
            codes = ((runs / steps)[..., None] - E2M1).abs().argmin(-1).view_as(tensor)
            stored[prefix + name] = (codes[:, ::2] << 4 | codes[:, 1::2]).to(torch.uint8)
            stored[module + ".weight_scale"] = swizzled(scales.view(torch.uint8)).view(
                torch.float8_e4m3fn)
            stored[module + ".weight_scale_2"] = whole.reshape(())
            stored[module + ".comfy_quant"] = mark(format="nvfp4")
            meaning[name] = (
                E2M1[codes].view_as(runs) * (scales.float() * whole)[..., None]).view_as(tensor)
        elif form == "mxfp8":
            runs = tensor.view(len(tensor), -1, 32)
            exponents = (runs.abs().amax(2) / 448).log2().ceil().clamp(-127, 127)
            factor = torch.exp2(exponents)[..., None]
            stored[prefix + name] = (runs / factor).to(torch.float8_e4m3fn).view_as(tensor)
            stored[module + ".weight_scale"] = swizzled((exponents + 127).to(torch.uint8))
            stored[module + ".comfy_quant"] = mark(format="mxfp8")
            meaning[name] = (
                stored[prefix + name].float().view_as(runs) * factor).view_as(tensor)
    if form == "fp8 of metadata":
        metadata["_quantization_metadata"] = json.dumps({"format_version": "1.0", "layers": layers})
    return stored, metadata, meaning


# Running


class Proof:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.good = True
        self.model = folder / "base"
        self.generator = numpy.random.default_rng(arguments.seed)
        base_model(self.model, arguments.seed)
        self.parts = {
            part: load_file(next((self.model / part).glob("*.safetensors")))
            for part in ("transformer", "text_encoder", "vae")
        }
        self.native = native_transformer(self.parts["transformer"])

    def run(self, model, name):
        """Runs the engine; returns its exit status, its messages and its tensors."""
        trace = self.folder / "trace.safetensors"
        trace.unlink(missing_ok=True)
        command = [self.arguments.inkstone, "generate", *RUN, "--model", model, "--trace", trace,
                   "--output", self.folder / "picture.png"]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        return done.returncode, done.stderr.strip(), load_file(trace) if trace.exists() else {}

    def say(self, passed, text):
        self.good &= passed
        print(f"{'ok' if passed else 'FAILED':6} {text}", flush=True)

    def expect(self, name, model, part=None, meaning=None):
        """Compares a model with the base in which one part has other numbers."""
        plain = self.model
        if part:
            plain = self.folder / "plain"
            shutil.rmtree(plain, ignore_errors=True)
            shutil.copytree(self.model, plain)
            file = next((plain / part).glob("*.safetensors"))
            save_file({k: v.contiguous() for k, v in meaning.items()}, file)
        status, message, actual = self.run(model, name)
        if status:
            return self.say(False, f"{name}: status {status}: {message}")
        _, _, expected = self.run(plain, name)
        worst = 0
        for key in ("pos.text_features", "transformer_out.0", "latents", "decoded"):
            a, b = expected[key].float(), actual[key].float()
            worst = max(worst, ((a - b).abs().max() / a.abs().max()).item())
        bits = all(torch.equal(expected[key], actual[key]) for key in expected)
        passed = bool(torch.isfinite(expected["latents"]).all()) and worst <= LIMIT
        self.say(passed, f"{name:34} {'equal to the bit' if bits else f'{worst:.1e} away'}")

    def replaced(self, part, save):
        """The base with one part in another file."""
        model = self.folder / "other"
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(self.model, model)
        for file in (model / part).glob("*.safetensors"):
            file.unlink()
        return model, save(model / part)

    def all(self):
        cases = [("transformer " + kind.name, self.transformer_gguf, kind) for kind in (
            Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q6_K, Q.Q5_K, Q.Q4_K, Q.Q4_0, Q.Q5_0, Q.Q4_1, Q.Q5_1,
            Q.Q2_K, Q.Q3_K, Q.IQ4_NL, Q.IQ4_XS)]
        cases += [("text encoder " + kind.name, self.text_gguf, kind) for kind in (
            Q.F16, Q.BF16, Q.Q8_0, Q.Q6_K, Q.Q5_K, Q.Q4_K, Q.Q4_0, Q.Q5_0)]
        cases += [("comfy " + form, self.comfy_file, form) for form in (
            "bf16", "fp8 cast", "fp8 scaled", "fp8 of metadata", "e5m2 of old", "int8 rows",
            "int8 whole", "int8 convrot", "nvfp4", "mxfp8")]
        cases += [
            ("text encoder fp8 scaled", self.text_comfy, None), ("split files", self.split, None),
            ("all in one file", self.joint, None), ("files of GGUF alone", self.gguf_alone, None),
            ("inkstone.json", self.manifest, None), ("refused", self.refused, None),
            ("corrupt", self.corrupt, None),
        ]
        for name, body, argument in cases:
            if self.arguments.only in name:
                body(name, argument)

    # Cases

    def transformer_gguf(self, name, kind):
        model, meaning = self.replaced("transformer", lambda folder: write_gguf(
            folder / "z-image.gguf", self.native, kind, "lumina2", self.generator))
        self.expect(
            name, model, "transformer",
            diffusers_transformer(meaning, self.parts["transformer"]))

    def text_gguf(self, name, kind):
        own = {gguf_text_name(k): v for k, v in self.parts["text_encoder"].items()}
        model, meaning = self.replaced("text_encoder", lambda folder: write_gguf(
            folder / "qwen.gguf", own, kind, "qwen3", self.generator, describe_text(self.model)))
        self.expect(name, model, "text_encoder", {
            k: meaning[gguf_text_name(k)] for k in self.parts["text_encoder"]})

    def comfy_file(self, name, form):
        prefix = "model.diffusion_model." if "old" in form else ""
        stored, metadata, meaning = comfy(self.native, form, prefix)

        def save(folder):
            save_file(stored, folder / "z.safetensors", metadata=metadata)

        model, _ = self.replaced("transformer", save)
        self.expect(
            name, model, "transformer",
            diffusers_transformer(meaning, self.parts["transformer"]))

    def text_comfy(self, name, _):
        stored, metadata, meaning = comfy(self.parts["text_encoder"], "fp8 scaled")

        def save(folder):
            save_file(stored, folder / "qwen.safetensors", metadata=metadata)

        model, _ = self.replaced("text_encoder", save)
        self.expect(name, model, "text_encoder", meaning)

    def split(self, name, _):
        root = self.folder / "split"
        for part, file, tensors in (
            ("diffusion_models", "z_image_turbo.safetensors", self.native),
            ("text_encoders", "qwen_3_4b.safetensors", self.parts["text_encoder"]),
            ("vae", "ae.safetensors", bfl_autoencoder(self.parts["vae"])),
        ):
            (root / part).mkdir(parents=True)
            save_file({k: v.contiguous() for k, v in tensors.items()}, root / part / file)
        shutil.copytree(self.model / "tokenizer", root / "tokenizer")
        self.expect(name + " as a folder", root)
        self.expect(name + " by the transformer's file",
                    root / "diffusion_models/z_image_turbo.safetensors")

    def joint(self, name, _):
        root = self.folder / "joint"
        root.mkdir()
        tensors = {}
        for prefix, own in (
            ("model.diffusion_model.", self.native),
            ("text_encoders.qwen3_4b.transformer.", self.parts["text_encoder"]),
            ("vae.", bfl_autoencoder(self.parts["vae"])),
        ):
            tensors |= {prefix + k: v.contiguous() for k, v in own.items()}
        save_file(tensors, root / "everything.safetensors")
        shutil.copytree(self.model / "tokenizer", root / "tokenizer")
        self.expect(name, root / "everything.safetensors")

    def gguf_alone(self, name, _):
        root = self.folder / "alone"
        root.mkdir()
        write_gguf(root / "z.gguf", self.native, Q.F32, "lumina2", self.generator)
        own = {gguf_text_name(k): v for k, v in self.parts["text_encoder"].items()}
        write_gguf(root / "qwen.gguf", own, Q.F32, "qwen3", self.generator,
                   describe_text(self.model))
        save_file(bfl_autoencoder(self.parts["vae"]), root / "ae.safetensors")
        self.expect(name + ", with its tokenizer", root)

    def manifest(self, name, _):
        root = self.folder / "named"
        shutil.copytree(self.model, root)
        next((root / "transformer").glob("*.safetensors")).unlink()
        save_file({k: v.contiguous() for k, v in self.native.items()},
                  self.folder / "elsewhere.safetensors")
        (root / "inkstone.json").write_text(json.dumps(
            {"files": {"transformer": "../elsewhere.safetensors"}}))
        self.expect(name + " names the transformer", root)

    def refused(self, name, _):
        weight = "layers.0.attention.qkv.weight"
        module = weight.removesuffix(".weight")

        def other(change):
            tensors = {k: v.bfloat16().contiguous() for k, v in self.native.items()}
            change(tensors)

            def save(folder):
                save_file(tensors, folder / "z.safetensors")

            return self.replaced("transformer", save)[0]

        def format_of(text):
            def change(tensors):
                tensors[weight] = tensors[weight].to(torch.int8)
                tensors[module + ".comfy_quant"] = mark(format=text)
            return change

        def foreign(ending):
            def change(tensors):
                tensors[module + ending] = torch.zeros(4)
            return change

        def bare(tensors):
            tensors[weight] = tensors[weight].to(torch.int8)

        def gguf_type(folder):
            write_gguf(folder / "z.gguf", self.native, Q.Q4_0, "lumina2", self.generator)
            path = folder / "z.gguf"
            data = path.read_bytes()
            at = data.index(weight.encode()) + len(weight) + 4 + 16
            path.write_bytes(data[:at] + (18).to_bytes(4, "little") + data[at + 4:])

        for text in ("convrot_w4a4", "asym_w4a8_int8", "awq_w4a16", "novelty"):
            self.expect_refusal(text, other(format_of(text)), text)
        for ending, word in ((".qweight", "Nunchaku"), (".scales", "MLX"),
                             (".weight.absmax", "bitsandbytes")):
            self.expect_refusal(word, other(foreign(ending)), word)
        self.expect_refusal("int8 without a scale", other(bare), "scale")
        self.expect_refusal("IQ3_XXS", self.replaced("transformer", gguf_type)[0], "IQ3_XXS")

    def expect_refusal(self, name, model, word):
        status, message, _ = self.run(model, name)
        self.say(
            status == 65 and word in message and message.count("\n") == 0,
            f"refused: {name}: status {status}: {message}")

    def corrupt(self, name, _):
        """Damages headers and data; an error or a picture may come, but no signal and no hang."""
        chance = random.Random(self.arguments.seed)
        tiny = self.folder / "tiny"
        tiny_checkpoint.build(tiny_checkpoint.TinyConfig(text_dim=32, store="float32"), tiny)
        state = load_file(next((tiny / "text_encoder").glob("*.safetensors")))
        own = {gguf_text_name(k): v for k, v in state.items()}
        file = tiny / "text_encoder/qwen.gguf"
        write_gguf(file, own, Q.Q8_0, "qwen3", self.generator, describe_text(tiny))
        next((tiny / "text_encoder").glob("*.safetensors")).unlink()
        transformer = next((tiny / "transformer").glob("*.safetensors"))
        stored, metadata, _ = comfy(native_transformer(load_file(transformer)), "fp8 scaled")
        save_file(stored, transformer, metadata=metadata)
        ends = {}
        for number in range(self.arguments.corrupt):
            victim = (file, transformer)[number % 2]
            whole = victim.read_bytes()
            data = bytearray(whole)
            head = 60_000 if chance.random() < 0.8 else len(data)
            for _ in range(chance.choice((1, 1, 2, 8))):
                at = chance.randrange(min(head, len(data)))
                kind = chance.randrange(4)
                if kind == 0:
                    data[at] ^= 1 << chance.randrange(8)
                elif kind == 1:
                    data[at:at + 8] = chance.choice((
                        b"\xff" * 8, b"\0" * 8, (1 << 62).to_bytes(8, "little"),
                        (len(data) + 1).to_bytes(8, "little")))
                elif kind == 2:
                    data[at] = chance.randrange(256)
                else:
                    del data[at:at + chance.choice((1, 8, 4096))]
            if chance.random() < 0.1:
                del data[chance.randrange(len(data)):]
            victim.write_bytes(data)
            status, message, _ = self.run(tiny, name)
            victim.write_bytes(whole)
            ends[status] = ends.get(status, 0) + 1
            if status not in (0, 65, 70, 75) or status and message.count("\n"):
                self.say(False, f"corrupt file {number} of {victim.name}: {status} {message[:300]}")
        self.say(True, f"{self.arguments.corrupt} corrupt files: exit statuses {ends}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=".build/release/inkstone")
    parser.add_argument("--only", default="", help="run cases whose name has this text")
    parser.add_argument("--corrupt", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inkstone-formats-") as folder:
        proof = Proof(arguments, pathlib.Path(folder))
        proof.all()
        return 0 if proof.good else 1


if __name__ == "__main__":
    sys.exit(main())
