#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Compute the goldens again from the mathematics, with none of the reference's model code.

    independent_reference.py [FOLDER ...]     # default: every folder of Tests/Fixtures/parity

A golden that came from a misunderstood call would pass for truth. This file knows the model only
as formulas: text encoder without padding, transformer without batches, Euler steps, autoencoder
both ways, random numbers from the generator's own definition. It prints the largest error of each
tensor, relative to the largest value in it, and fails above the limits at the top. Tokenisation is
the one thing taken from a library. It reads well beside the engine when a parity test fails.
"""

import argparse
import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures" / "parity"
LIMIT = 2e-5          # relative; measured over all fixtures: 2e-6 at most
LIMIT_LEVELS = 1      # of 255, in `rgb8`
TOKEN_BLOCK = 32


def load_part(root, part):
    """The tensors of a part in f32, without a `model.` prefix, and its config."""
    tensors = {}
    for path in sorted((root / part).glob("*.safetensors")):
        tensors.update(load_file(path))
    tensors = {k.removeprefix("model."): v.float() for k, v in tensors.items()}
    return tensors, json.loads((root / part / "config.json").read_text())


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def attention(q, k, v, causal=False):
    """Softmax attention of one sequence. Shapes: `[S, H, D]` each, result `[S, H * D]`."""
    q, k, v = (t.transpose(0, 1) for t in (q, k, v))
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores + torch.full(scores.shape[1:], -1e30).triu(1)
    return (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)


class Generator:
    """The Mersenne twister and its normal numbers, as the reference's CPU generator draws them."""

    def __init__(self, seed):
        # Only the low 32 bits of a seed count, so seed and seed + 2^32 draw the same.
        self.state = [seed & 0xFFFFFFFF]
        for index in range(1, 624):
            last = self.state[-1]
            self.state.append((1812433253 * (last ^ (last >> 30)) + index) & 0xFFFFFFFF)
        self.position, self.spare = 624, None

    def integer(self):
        if self.position == 624:
            s = self.state
            for k in range(624):
                y = (s[k] & 0x80000000) | (s[(k + 1) % 624] & 0x7FFFFFFF)
                s[k] = s[(k + 397) % 624] ^ (y >> 1) ^ (0x9908B0DF if y & 1 else 0)
            self.position = 0
        y = self.state[self.position]
        self.position += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C5680
        y ^= (y << 15) & 0xEFC60000
        return y ^ (y >> 18)

    def normal(self, *shape):
        count = math.prod(shape)
        draw = self._blocks(count) if count >= 16 else [self._single() for _ in range(count)]
        return torch.tensor(draw, dtype=torch.float64).float().reshape(shape)

    def _single(self):
        """Fewer than 16 numbers: pairs in double precision; the second of a pair is kept."""
        if self.spare is not None:
            value, self.spare = self.spare, None
            return value
        first, second = (
            (((self.integer() << 32) | self.integer()) & (2**53 - 1)) * 2.0**-53 for _ in "ab")
        radius, angle = math.sqrt(-2 * math.log1p(-second)), 2 * math.pi * first
        self.spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def _blocks(self, count):
        """Uniform numbers turned normal in blocks of 16: the first eight against the last eight."""
        uniform = lambda n: [(self.integer() & 0xFFFFFF) * 2.0**-24 for _ in range(n)]
        values = uniform(count)
        starts = list(range(0, count - 15, 16))
        for start in starts:
            self._transform(values, start)
        if count % 16:  # the last 16 are drawn again
            values[-16:] = uniform(16)
            self._transform(values, count - 16)
        return values

    @staticmethod
    def _transform(values, start):
        for j in range(start, start + 8):
            radius = math.sqrt(-2 * math.log(1 - values[j]))
            angle = 2 * math.pi * values[j + 8]
            values[j], values[j + 8] = radius * math.cos(angle), radius * math.sin(angle)


class TextEncoder:
    """Qwen3 up to its last layer but one; the final layer and norm are never used."""

    def __init__(self, root):
        self.w, self.config = load_part(root, "text_encoder")

    def __call__(self, ids):
        w, c = self.w, self.config
        heads, groups, d = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        eps = c["rms_norm_eps"]
        theta = c.get("rope_theta") or c["rope_parameters"]["rope_theta"]
        x = w["embed_tokens.weight"][ids.long()]
        count = len(x)
        rates = theta ** (-torch.arange(0, d, 2).float() / d)
        angles = torch.arange(count)[:, None] * rates
        cos, sin = angles.cos()[:, None], angles.sin()[:, None]

        def rotate(t):  # halves, not adjacent pairs
            a, b = t[..., :d // 2], t[..., d // 2:]
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

        for layer in range(c["num_hidden_layers"] - 1):
            p = f"layers.{layer}."
            a = p + "self_attn."
            h = rms_norm(x, w[p + "input_layernorm.weight"], eps)
            q = (h @ w[a + "q_proj.weight"].T).view(count, heads, d)
            k = (h @ w[a + "k_proj.weight"].T).view(count, groups, d)
            v = (h @ w[a + "v_proj.weight"].T).view(count, groups, d)
            q = rotate(rms_norm(q, w[a + "q_norm.weight"], eps))
            k = rotate(rms_norm(k, w[a + "k_norm.weight"], eps))
            k, v = (t.repeat_interleave(heads // groups, 1) for t in (k, v))
            x = x + attention(q, k, v, causal=True) @ w[a + "o_proj.weight"].T
            h = rms_norm(x, w[p + "post_attention_layernorm.weight"], eps)
            gate = F.silu(h @ w[p + "mlp.gate_proj.weight"].T)
            x = x + (gate * (h @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
        return x


class Transformer:
    """One image and one caption at a time. Letters: M model width, H heads, D head width."""

    def __init__(self, root):
        self.w, self.config = load_part(root, "transformer")

    def linear(self, x, name):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def angles(self, positions):
        """Rotary angles of `[S, 3]` positions, axis after axis: `[S, D / 2]`."""
        parts = []
        for axis, width in enumerate(self.config["axes_dims"]):
            rates = self.config["rope_theta"] ** (-torch.arange(0, width, 2).double() / width)
            parts.append((positions[:, axis:axis + 1].double() * rates).float())
        return torch.cat(parts, 1)

    @staticmethod
    def rotate(x, angles):
        """Rotate adjacent pairs of `[S, H, D]`."""
        cos, sin = angles.cos()[:, None], angles.sin()[:, None]
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    def block(self, x, angles, prefix, time=None):
        c, w, count = self.config, self.w, len(x)
        heads, d, eps = c["n_heads"], c["dim"] // c["n_heads"], c["norm_eps"]
        scale1 = scale2 = torch.zeros(1)
        gate1 = gate2 = torch.ones(1)
        if time is not None:
            parts = self.linear(time, prefix + "adaLN_modulation.0").chunk(4)
            scale1, gate1, scale2, gate2 = parts
            gate1, gate2 = gate1.tanh(), gate2.tanh()
        norm = lambda t, name: rms_norm(t, w[prefix + name + ".weight"], eps)
        h = norm(x, "attention_norm1") * (1 + scale1)
        q, k, v = (self.linear(h, f"{prefix}attention.to_{t}").view(count, heads, d) for t in "qkv")
        q = self.rotate(rms_norm(q, w[prefix + "attention.norm_q.weight"], 1e-5), angles)
        k = self.rotate(rms_norm(k, w[prefix + "attention.norm_k.weight"], 1e-5), angles)
        h = self.linear(attention(q, k, v), prefix + "attention.to_out.0")
        x = x + gate1 * norm(h, "attention_norm2")
        h = norm(x, "ffn_norm1") * (1 + scale2)
        f = prefix + "feed_forward."
        h = self.linear(F.silu(self.linear(h, f + "w1")) * self.linear(h, f + "w3"), f + "w2")
        return x + gate2 * norm(h, "ffn_norm2")

    def time_embedding(self, t):
        rates = torch.exp(-math.log(10000) * torch.arange(128).float() / 128)
        args = (t * self.config["t_scale"]) * rates
        wave = torch.cat([args.cos(), args.sin()])
        return self.linear(F.silu(self.linear(wave, "t_embedder.mlp.0")), "t_embedder.mlp.2")

    def __call__(self, latents, t, caption, trace=None):
        """The raw output (before negation) for `[C, h, w]` latents at time `t` in 0...1."""
        c, w = self.config, self.w
        note = (lambda name, value: None) if trace is None else trace.setdefault
        channels, rows, columns = latents.shape
        rows, columns = rows // 2, columns // 2
        time = self.time_embedding(t)
        note("t_emb", time[None])

        x = latents.view(channels, rows, 2, columns, 2).permute(1, 3, 2, 4, 0)
        x = self.linear(x.reshape(rows * columns, 4 * channels), "all_x_embedder.2-1")
        count, text_count = len(x), len(caption)
        pad, text_pad = -count % TOKEN_BLOCK, -text_count % TOKEN_BLOCK
        text_length = text_count + text_pad
        note("x_embedded", x)
        y = rms_norm(caption, w["cap_embedder.0.weight"], c["norm_eps"])
        y = self.linear(y, "cap_embedder.1")
        note("cap_embedded", y)
        # Pads are learned tokens that attend like any other; nothing is masked.
        x = torch.cat([x, w["x_pad_token"].expand(pad, -1)])
        y = torch.cat([y, w["cap_pad_token"].expand(text_pad, -1)])

        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        place = torch.full((count,), text_length + 1)
        image_positions = torch.stack([place, row.flatten(), column.flatten()], 1)
        image_positions = torch.cat([image_positions, torch.zeros(pad, 3).long()])
        zero = torch.zeros(text_length).long()
        text_positions = torch.stack([torch.arange(1, text_length + 1), zero, zero], 1)
        image_angles, text_angles = self.angles(image_positions), self.angles(text_positions)

        for i in range(c["n_refiner_layers"]):
            x = self.block(x, image_angles, f"noise_refiner.{i}.", time)
            note(f"noise_refiner.{i}", x[None])
        for i in range(c["n_refiner_layers"]):
            y = self.block(y, text_angles, f"context_refiner.{i}.")
            note(f"context_refiner.{i}", y[None])
        both, angles = torch.cat([x, y]), torch.cat([image_angles, text_angles])
        for i in range(c["n_layers"]):
            both = self.block(both, angles, f"layers.{i}.", time)
            note(f"layers.{i}", both[None])
        scale = 1 + self.linear(F.silu(time), "all_final_layer.2-1.adaLN_modulation.1")
        out = F.layer_norm(both, (c["dim"],), eps=1e-6) * scale
        out = self.linear(out, "all_final_layer.2-1.linear")
        note("final_layer", out[None, :count])
        out = out[:count].view(rows, columns, 2, 2, channels).permute(4, 0, 2, 1, 3)
        return out.reshape(channels, 2 * rows, 2 * columns)


class Autoencoder:
    """The picture autoencoder; everything on `[1, channels, height, width]`."""

    def __init__(self, root):
        self.w, self.config = load_part(root, "vae")
        self.depth = len(self.config["block_out_channels"])
        self.resnets = self.config["layers_per_block"]

    def norm(self, x, name):
        groups = self.config["norm_num_groups"]
        return F.group_norm(x, groups, self.w[name + ".weight"], self.w[name + ".bias"], 1e-6)

    def conv(self, x, name, **options):
        return F.conv2d(x, self.w[name + ".weight"], self.w[name + ".bias"], **options)

    def resnet(self, x, p):
        h = self.conv(F.silu(self.norm(x, p + "norm1")), p + "conv1", padding=1)
        h = self.conv(F.silu(self.norm(h, p + "norm2")), p + "conv2", padding=1)
        shortcut = p + "conv_shortcut"
        return h + (self.conv(x, shortcut) if shortcut + ".weight" in self.w else x)

    def middle(self, x, p):
        x = self.resnet(x, p + "resnets.0.")
        a = p + "attentions.0."
        _, channels, height, width = x.shape
        h = self.norm(x, a + "group_norm")[0].flatten(1).T
        linear = lambda t, n: t @ self.w[a + n + ".weight"].T + self.w[a + n + ".bias"]
        q, k, v = (linear(h, f"to_{t}")[:, None] for t in "qkv")
        h = linear(attention(q, k, v), "to_out.0")
        return self.resnet(x + h.T.view(1, channels, height, width), p + "resnets.1.")

    def decode(self, latents):
        x = latents / self.config["scaling_factor"] + self.config["shift_factor"]
        if self.config["use_post_quant_conv"]:
            x = self.conv(x, "post_quant_conv")
        x = self.middle(self.conv(x, "decoder.conv_in", padding=1), "decoder.mid_block.")
        for i in range(self.depth):
            p = f"decoder.up_blocks.{i}."
            for j in range(self.resnets + 1):
                x = self.resnet(x, f"{p}resnets.{j}.")
            if i < self.depth - 1:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
                x = self.conv(x, p + "upsamplers.0.conv", padding=1)
        return self.conv(F.silu(self.norm(x, "decoder.conv_norm_out")), "decoder.conv_out",
                         padding=1)

    def moments(self, pixels):
        """Mean and log variance of `[-1, 1]` pixels, stacked on the channel axis."""
        x = self.conv(pixels, "encoder.conv_in", padding=1)
        for i in range(self.depth):
            p = f"encoder.down_blocks.{i}."
            for j in range(self.resnets):
                x = self.resnet(x, f"{p}resnets.{j}.")
            if i < self.depth - 1:
                # One row and column of zeros, right and below only.
                x = self.conv(F.pad(x, (0, 1, 0, 1)), p + "downsamplers.0.conv", stride=2)
        x = self.middle(x, "encoder.mid_block.")
        x = self.conv(F.silu(self.norm(x, "encoder.conv_norm_out")), "encoder.conv_out", padding=1)
        return self.conv(x, "quant_conv") if self.config["use_quant_conv"] else x


def sigmas(scheduler, steps, image_tokens):
    """Noise levels from 1 down, with a closing 0."""
    u = torch.linspace(1, 1 / steps, steps)
    if scheduler["use_dynamic_shifting"]:
        slope = (1.15 - 0.5) / (4096 - 256)
        factor = math.exp(slope * image_tokens + 0.5 - slope * 256)
        shifted = factor / (factor + (1 / u - 1))
    else:
        shifted = scheduler["shift"] * u / (1 + (scheduler["shift"] - 1) * u)
    return torch.cat([shifted, torch.zeros(1)])


def guide(run, positive, negative):
    """`pos + g (pos - neg)`, held to a multiple of the norm of `pos` where that is asked for."""
    out = positive + run["guidance_scale"] * (positive - negative)
    if run["cfg_normalization"] > 0:
        limit = run["cfg_normalization"] * positive.norm()
        if out.norm() > limit:
            out = out * (limit / out.norm())
    return out


class Pipeline:
    """A checkpoint folder, loaded."""

    def __init__(self, root):
        self.text_encoder, self.transformer = TextEncoder(root), Transformer(root)
        self.vae = Autoencoder(root)
        self.scheduler = json.loads((root / "scheduler/scheduler_config.json").read_text())

    def start(self, run, levels, golden):
        """Tensors up to the first step, and the index of that step."""
        channels = self.transformer.config["in_channels"]
        shape = (1, channels, 2 * (run["height"] // 16), 2 * (run["width"] // 16))
        generator = Generator(run["seed"])
        if run["strength"] is None:
            return {"latents.init": generator.normal(*shape)}, 0
        pixels = golden["image"].permute(2, 0, 1)[None].float() / 255 * 2 - 1
        moments = self.vae.moments(pixels)
        mean, log_variance = moments.chunk(2, 1)
        deviation = (log_variance.clamp(-30, 20) / 2).exp()
        sample = mean + deviation * generator.normal(*shape)
        config = self.vae.config
        clean = (sample - config["shift_factor"]) * config["scaling_factor"]
        noise = generator.normal(*shape)
        first = int(max(run["steps"] - min(run["steps"] * run["strength"], run["steps"]), 0))
        return {"vae.encode_moments": moments, "image_latents": clean, "noise": noise,
                "latents.init": levels[first] * noise + (1 - levels[first]) * clean}, first

    def __call__(self, run, golden):
        """Every tensor of a run, from the ids of the golden on."""
        tensors = {}
        features = {}
        for branch in ("pos", "neg"):
            if f"{branch}.input_ids" in golden:
                features[branch] = self.text_encoder(golden[f"{branch}.input_ids"])
                tensors[f"{branch}.text_features"] = features[branch]
        tokens = (run["height"] // 16) * (run["width"] // 16)
        levels = tensors["sigmas"] = sigmas(self.scheduler, run["steps"], tokens)
        started, first = self.start(run, levels, golden)
        tensors.update(started)
        x, states = started["latents.init"][0], []
        traces = {"pos": {}, "neg": {}}
        for call, i in enumerate(range(first, run["steps"])):
            t = (1000 - levels[i] * 1000) / 1000
            guided = run["guidance_scale"] > 0 and t <= run["cfg_truncation"]
            branches = ("pos", "neg") if guided else ("pos",)
            outs = [self.transformer(x, t, features[b], traces[b]) for b in branches]
            tensors[f"transformer_out.{call}"] = torch.stack(outs)[:, :, None]
            velocity = -(guide(run, *outs) if guided else outs[0])
            x = x + (levels[i + 1] - levels[i]) * velocity
            states.append(x)
        if not traces["neg"]:  # a guided forward is recorded as a batch with other paddings
            tensors.update({"trace." + k: v for k, v in traces["pos"].items()})
        tensors["latents"] = torch.stack(states)
        tensors["decoded"] = self.vae.decode(x[None])
        unit = (tensors["decoded"] / 2 + 0.5).clamp(0, 1)
        tensors["rgb8"] = (unit * 255).round().byte()[0].permute(1, 2, 0)
        return tensors


def relative_error(value, golden):
    """The largest difference, as a share of the golden's largest value."""
    if value.numel() != golden.numel():
        return math.inf
    difference = (value.reshape(golden.shape).float() - golden.float()).abs().max().item()
    return difference / max(golden.float().abs().max().item(), 1e-12)


def compare(tensors, golden, report):
    """Report every golden tensor that has a counterpart; true when all are within limits."""
    good = True
    for name, expected in golden.items():
        if name.endswith("input_ids") or name == "image":
            continue
        value = tensors[name]
        if name == "latents":
            value = value[-len(expected):]
        if name == "rgb8":
            error = (value.int() - expected.int()).abs().max().item()
            passed = error <= LIMIT_LEVELS
        else:
            error = relative_error(value, expected)
            passed = error <= LIMIT
        good &= passed
        report(name, error, passed)
    return good


def check_ids(root, run, golden):
    """Whether a library tokenises the prompts to the golden's ids."""
    from tokenizers import Tokenizer
    path = root / "tokenizer" / "tokenizer.json"
    if not path.exists():
        return True
    tokenizer = Tokenizer.from_file(str(path))
    for branch, field in (("pos", "prompt"), ("neg", "negative_prompt")):
        if f"{branch}.input_ids" not in golden:
            continue
        text = f"<|im_start|>user\n{run[field]}<|im_end|>\n<|im_start|>assistant\n"
        ids = tokenizer.encode(text, add_special_tokens=False).ids[:512]
        if ids != golden[f"{branch}.input_ids"].tolist():
            return False
    return True


def check_noise(path):
    """The largest error of the generator's numbers against the noise fixture."""
    golden, worst = load_file(path), 0.0
    for name, expected in golden.items():
        kind, seed, *rest = name.split(".")
        if kind == "randn":
            draw = Generator(int(seed)).normal(int(rest[0]))
        elif kind == "integers":
            generator = Generator(int(seed))
            draw = torch.tensor([generator.integer() for _ in range(1300)])
        else:
            generator = Generator(int(seed))
            for count in (5, 3, 32, 2, 20, 1)[:int(rest[0]) + 1]:
                draw = generator.normal(count)
        draw = draw[-len(expected):] if rest[-1] == "last" else draw[:len(expected)]
        worst = max(worst, (draw.double() - expected.double()).abs().max().item())
    return worst


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    parser.add_argument("--quiet", action="store_true", help="one line a run")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    good = True
    if not arguments.folders:
        error = check_noise(FIXTURES / "noise.safetensors")
        print(f"noise: largest error {error:.1e}")
        good = error <= 1e-6
    folders = arguments.folders or sorted(p.parent for p in FIXTURES.glob("*/case.json"))
    for folder in folders:
        case = json.loads((folder / "case.json").read_text())
        goldens = load_file(folder / "goldens.safetensors")
        root = folder / case["checkpoint"]
        pipeline = Pipeline(root)
        for run in case["runs"]:
            title = f"{folder.name}/{run['name']}"
            golden = {k.removeprefix(run["name"] + "."): v for k, v in goldens.items()
                      if k.startswith(run["name"] + ".")}
            errors = {}

            def report(name, error, passed):
                errors[name] = error
                if not passed or not arguments.quiet:
                    print(f"  {name:28s} {error:9.2g} {'' if passed else 'TOO LARGE'}")

            print(title)
            same_ids = check_ids(root, run, golden)
            passed = compare(pipeline(run, golden), golden, report) and same_ids
            levels = errors.pop("rgb8")
            print(f"  {'ok' if passed else 'FAILED'}: largest relative error "
                  f"{max(errors.values()):.1e}, pixels differ by {levels:g}"
                  f"{'' if same_ids else ', other token ids'}")
            good &= passed
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
