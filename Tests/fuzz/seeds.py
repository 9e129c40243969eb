# Part of Inkstone. Licence: see LICENSE.
"""First inputs of the fuzz targets: small files that the parsers accept, so that mutations get far."""

import json
import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Files of Tests/Fixtures/imaging above this are left out: small inputs are mutated faster.
LARGEST_IMAGE = 1200


def safetensors(tensors, metadata=None):
    """A file of {name: (dtype, shape, bytes)}."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, numbers) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def weights():
    plain = {"a": ("F32", [2], bytes(8)), "b.c": ("BF16", [1, 2], bytes(4)), "": ("I64", [], bytes(8)),
             "empty": ("F16", [0, 3], b"")}
    yield safetensors(plain, {"format": "pt"})
    mark = json.dumps({"format": "int8_tensorwise", "convrot": True, "convrot_groupsize": 4}).encode()
    yield safetensors({"0.weight": ("I8", [2, 4], bytes(range(8))),
                       "0.weight_scale": ("F32", [2, 1], struct.pack("<2f", 1, 2)),
                       "0.comfy_quant": ("U8", [len(mark)], mark)})
    layers = {"layers": {"1": {"format": "float8_e4m3fn"}, "2": {"format": "nvfp4"}, "3": {"format": "mxfp8"}}}
    yield safetensors({"1.weight": ("F8_E4M3", [2, 2], bytes(4)), "1.weight_scale": ("F32", [], bytes(4)),
                       "2.weight": ("U8", [1, 8], bytes(8)), "2.weight_scale": ("F8_E4M3", [128, 4], bytes(512)),
                       "2.weight_scale_2": ("F32", [1], bytes(4)), "3.weight": ("F8_E4M3", [1, 32], bytes(32)),
                       "3.weight_scale": ("U8", [128, 4], bytes(512))},
                      {"_quantization_metadata": json.dumps(layers)})
    yield safetensors({"scaled_fp8": ("F8_E4M3", [0], b""), "x.weight": ("F8_E5M2", [1, 4], bytes(4)),
                       "x.scale_weight": ("F32", [1], bytes(4)), "x.scale_input": ("F32", [1], bytes(4))})


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def gguf(values, tensors, version=3):
    """A file of [(key, type, bytes)] and [(name, shape, type, bytes)]."""
    file = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    for key, kind, value in values:
        file += text(key) + struct.pack("<I", kind) + value
    offset, data = 0, b""
    for name, shape, kind, numbers in tensors:
        file += text(name) + struct.pack("<I", len(shape))
        file += b"".join(struct.pack("<Q", side) for side in reversed(shape))
        file += struct.pack("<IQ", kind, offset)
        data += numbers + bytes(-len(numbers) % 32)
        offset = len(data)
    return file + bytes(-len(file) % 32) + data


def gguf_files():
    values = [("general.architecture", 8, text("qwen3")), ("general.alignment", 4, struct.pack("<I", 32)),
              ("a", 0, b"\1"), ("b", 6, struct.pack("<f", 1)), ("c", 7, b"\1"), ("d", 12, bytes(8)),
              ("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("b")),
              ("tokenizer.ggml.token_type", 9, struct.pack("<IQ2i", 5, 2, 1, 3)),
              ("comfy.gguf.orig_shape.x", 9, struct.pack("<IQ2i", 5, 2, 4, 8))]
    yield gguf(values, [("x", [32], 8, bytes(34)), ("y", [2], 0, bytes(8))])
    # Types with the bytes of a block: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS, BF16.
    blocks = {2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110),
              12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 30: (1, 2)}
    for kind, (numbers, size) in blocks.items():
        yield gguf([], [("t", [1, numbers], kind, bytes(range(size)))], version=2)


def loras():
    layer = "layers.0.attention.to_q"
    pair = ("F8_E4M3", [1, 288], bytes(288)), ("F8_E4M3", [288, 1], bytes(288))
    rank = json.dumps({"transformer.lora_alpha": 2, "transformer.alpha_pattern": {"to_q": 3}})
    yield safetensors({f"transformer.{layer}.lora_A.weight": pair[0], f"transformer.{layer}.lora_B.weight": pair[1],
                       f"transformer.{layer}.lora_magnitude_vector": ("F8_E4M3", [288], bytes(288))},
                      {"lora_adapter_metadata": rank, "modelspec.title": "x",
                       "modelspec.thumbnail": "data:image/png;base64,iVBORw0KGgo="})
    name = "lora_unet_" + layer.replace(".", "_")
    yield safetensors({f"{name}.lora_down.weight": pair[0], f"{name}.lora_up.weight": pair[1],
                       f"{name}.alpha": ("F32", [], bytes(4)), f"{name}.diff_b": ("U8", [288], bytes(288))})
    yield safetensors({f"diffusion_model.{layer}.lora_A.default.weight": pair[0],
                       f"diffusion_model.{layer}.lora_B.default.weight": pair[1]})
    yield safetensors({f"lycoris_{name[10:]}.lokr_w1": ("U8", [12, 12], bytes(144)),
                       f"lycoris_{name[10:]}.lokr_w2": ("U8", [24, 24], bytes(576))})
    low = ("U8", [288, 1], bytes(288)), ("U8", [1, 288], bytes(288))
    yield safetensors({f"{layer}.hada_w1_a": low[0], f"{layer}.hada_w1_b": low[1], f"{layer}.hada_w2_a": low[0],
                       f"{layer}.hada_w2_b": low[1], f"{layer}.scalar": ("F32", [], bytes(4))})


def forms():
    def part(name, data, file=None):
        file = f'; filename="{file}"' if file else ""
        return f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"
    yield b"multipart/form-data; boundary=b\n" + part("prompt", b"a cat") + part("n", b"1") + b"--b--\r\n"
    yield (b'multipart/form-data; boundary="b"\nbefore\r\n' + part("image[]", b"\x89PNG\r\n--bx\r\n", "a%22.png")
           + part("kwargs", b'{"seed": 1}') + b"--b--after")
    yield b"multipart/form-data; charset=utf-8; boundary*=UTF-8''b\n--b \t\r\n\r\n\r\n--b--"


TEXTS = {
    "infotext": [
        "a cat, (very:1.2)\nsecond line\nNegative prompt: a dog\nSteps: 20, Sampler: Euler, Schedule type: Simple,"
        " CFG scale: 3.5, Seed: 12, Size: 64x128, Model hash: abc, Model: x, Lora weights: \"a: 0.5, b: 1\","
        " Lora hashes: \"a: ff\", Exact prompt: \" a\\n\\u0041\", Version: 1",
        "Steps: 1, Seed: 2, X y: \"unterminated, Size: 1x"],
    "manifest": [json.dumps({
        "id": "m", "name": "M", "summary": {"en": "x"}, "license": "y",
        "defaults": {"width": 64, "height": 64, "steps": 2, "guidance_scale": 1.5}, "sizes": [[64, 64], "64x128"],
        "limits": {"min_side": 16}, "preview": {"factors": [[1, 2, 3]], "bias": [0, 0, 0]},
        "presets": [{"name": "a", "steps": 3}], "loras": {"a": 0.5}, "examples": {"en": ["a"]},
        "words": {"en": ["a"], "zh": ["a"]}})],
    "json": [
        '{"prompt": "a \\u00e9\\ud83d\\ude00", "seed": -1, "guidance_scale": 3.5e0, "loras": ["a"], "n": null}',
        '{"kwargs": "{\\"seed\\": 8.0,}", "a": [[], {}, true, false, 1e-5, 12345678901234567890], "a": 1}',
        "\ufeff[\"\\ud800\", \"\\n\\/\\b\"]"],
    "header": ['form-data; name="a\\"b"; filename="a.png"; filename*=UTF-8\'\'na%C3%AFve.png', "text/plain;a=b; c"],
}


def all_seeds():
    """{target: [bytes]} for every target."""
    seeds = {name: [value.encode() for value in values] for name, values in TEXTS.items()}
    images = sorted((ROOT / "Tests/Fixtures/imaging").iterdir())
    for target, suffix in [("png", ".png"), ("jpeg", ".jpg"), ("webp", ".webp")]:
        seeds[target] = [image.read_bytes() for image in images
                         if image.suffix == suffix and image.stat().st_size <= LARGEST_IMAGE]
    # An Exif block starts behind the marker, the length and the prefix of its segment.
    blocks = [image.read_bytes().partition(b"Exif\0\0")[2][:100] for image in images if image.suffix == ".jpg"]
    seeds["exif"] = sorted({block for block in blocks if block})
    seeds["manifest"].append((ROOT / "Models/emoji-nano/inkstone.json").read_bytes())
    seeds |= {"safetensors": list(weights()), "gguf": list(gguf_files()), "lora": list(loras()),
              "multipart": list(forms())}
    return seeds
