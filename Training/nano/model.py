# Part of Inkstone. Licence: see LICENSE.
"""Transformer and text encoder: diffusers' and transformers' own modules, run as one batch.

diffusers walks its transformer picture by picture; training wants one dense batch, so `Nano.forward`
computes the same function from the same parameters. `python -m nano.model` compares both.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import ZImageTransformer2DModel
from transformers import Qwen3Config, Qwen3Model

WIDTH, HEADS, LAYERS, AXES = 288, 9, 5, (8, 12, 12)
TEXT_WIDTH = 192
REGISTERS = 5  # template tokens after the prompt: <|im_end|> \n <|im_start|> assistant \n


def make_transformer():
    model = ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=16, dim=WIDTH, n_layers=LAYERS,
        n_refiner_layers=1, n_heads=HEADS, n_kv_heads=HEADS, norm_eps=1e-5, qk_norm=True,
        cap_feat_dim=TEXT_WIDTH, rope_theta=256.0, t_scale=1000.0, axes_dims=list(AXES),
        axes_lens=[1536, 512, 512])
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "pad_token" in name:
                p.normal_(0, 0.5)
            elif "adaLN" in name:
                if p.ndim == 2:
                    p.normal_(0, 0.02)
                else:
                    p.zero_()
                    if "final" not in name:  # gates half open
                        p.view(4, -1)[1] = 0.5
                        p.view(4, -1)[3] = 0.5
            elif p.ndim == 2 and "t_embedder" not in name:
                p.normal_(0, 1 / math.sqrt(p.shape[1]))
            elif name.endswith("bias"):
                p.zero_()
        final = model.all_final_layer["2-1"].linear
        final.weight.zero_()
        final.bias.zero_()
    return model


def make_text_encoder(vocabulary):
    """Four layers, of which three count: the pipeline reads the output of the last but one."""
    model = Qwen3Model(Qwen3Config(
        vocab_size=vocabulary, hidden_size=TEXT_WIDTH, intermediate_size=512, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, head_dim=64, rms_norm_eps=1e-6, rope_theta=1e6,
        max_position_embeddings=40960, tie_word_embeddings=True, attention_bias=False))
    with torch.no_grad():
        model.embed_tokens.weight.normal_(0, 0.3)
        for name, p in model.layers.named_parameters():
            if p.ndim == 2:
                gain = 0.3 if "o_proj" in name or "down" in name else 1
                p.normal_(0, gain / math.sqrt(p.shape[1]))
    return model


def rms(x, weight, epsilon):
    return F.rms_norm(x, (x.shape[-1],), weight.to(x.dtype), epsilon)


def rotate_pairs(x, cosine, sine):
    """Rotary positions on interleaved pairs; `x` is `[batch, length, heads, head width]`."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cosine - b * sine, a * sine + b * cosine), -1).flatten(-2)


def rotate_halves(x, cosine, sine):
    a, b = x.chunk(2, -1)
    return x * cosine + torch.cat((-b, a), -1) * sine


def attend(q, k, v, causal=False):
    """Plain attention: for sequences this short it trains faster on a CPU than the flash kernel."""
    k, v = k.to(q.dtype), v.to(q.dtype)
    scores = (q @ k.transpose(-2, -1)).float() * q.shape[-1] ** -0.5
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1).to(q.dtype) @ v


def patches_of(latents):
    """`[batch, channels, h, h]` to rows of 2 x 2 positions, the channel fastest."""
    batch, channels, side, _ = latents.shape
    x = latents.view(batch, channels, side // 2, 2, side // 2, 2).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(batch, (side // 2) ** 2, 4 * channels)


class Nano(nn.Module):
    def __init__(self, transformer, text_encoder):
        super().__init__()
        self.transformer, self.text_encoder = transformer, text_encoder
        self.tables = {}

    def positions(self, length, side, dtype, device):
        """Rotary tables for captions, for the picture, and for both in the order of the sequence."""
        key = (length, side, dtype, device)
        if key not in self.tables:
            with torch.no_grad():
                words = torch.zeros(length, 3, dtype=torch.long)
                words[:, 0] = torch.arange(1, length + 1)
                axis = torch.arange(side)
                patches = torch.stack(torch.meshgrid(
                    torch.tensor([length + 1]), axis, axis, indexing="ij"), -1).reshape(-1, 3)
                tables = []
                for ids in (words, patches, torch.cat([patches, words])):
                    f = self.transformer.rope_embedder(ids)
                    tables.append(tuple(part[None, :, None].contiguous().to(device, dtype)
                                        for part in (f.real, f.imag)))
                self.tables[key] = tables
        return self.tables[key]

    def block(self, block, x, table, modulation=None, only=None):
        """One transformer block; with `only`, the first so many tokens are all that is asked of it."""
        attention = block.attention
        batch, length, width = x.shape
        heads = attention.heads
        h = rms(x, block.attention_norm1.weight, 1e-5)
        if modulation is not None:
            scales = block.adaLN_modulation[0](modulation).unsqueeze(1).chunk(4, -1)
            scale1, gate1, scale2, gate2 = scales[0], scales[1].tanh(), scales[2], scales[3].tanh()
            h = h * (1 + scale1)
        weight = torch.cat([attention.to_q.weight, attention.to_k.weight, attention.to_v.weight])
        q, k, v = F.linear(h, weight).view(batch, length, 3, heads, width // heads).unbind(2)
        cosine, sine = table
        if only:
            x, q = x[:, :only], q[:, :only]
        n = q.shape[1]
        q = rotate_pairs(rms(q, attention.norm_q.weight, 1e-5), cosine[:, :n], sine[:, :n])
        k = rotate_pairs(rms(k, attention.norm_k.weight, 1e-5), cosine, sine)
        o = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        o = attention.to_out[0](o.transpose(1, 2).reshape(batch, n, width))
        o = rms(o, block.attention_norm2.weight, 1e-5)
        x = x + (o if modulation is None else gate1 * o)
        h = rms(x, block.ffn_norm1.weight, 1e-5)
        if modulation is not None:
            h = h * (1 + scale2)
        ff = block.feed_forward
        gate, up = F.linear(h, torch.cat([ff.w1.weight, ff.w3.weight])).chunk(2, -1)
        o = rms(ff.w2(F.silu(gate) * up), block.ffn_norm2.weight, 1e-5)
        return x + (o if modulation is None else gate2 * o)

    def text(self, ids):
        """Features `[batch, length, 192]`: what `hidden_states[-2]` is in transformers."""
        model = self.text_encoder
        h = model.embed_tokens(ids)
        batch, length, _ = h.shape
        cosine, sine = model.rotary_emb(h, torch.arange(length, device=ids.device)[None])
        for layer in model.layers[:-1]:
            a = layer.self_attn
            x = rms(h, layer.input_layernorm.weight, 1e-6)
            q, k, v = (p(x).view(batch, length, -1, a.head_dim) for p in (a.q_proj, a.k_proj, a.v_proj))
            q = rms(q, a.q_norm.weight, 1e-6).transpose(1, 2)
            k = rms(k, a.k_norm.weight, 1e-6).transpose(1, 2)
            c, s = cosine[:, None].to(q.dtype), sine[:, None].to(q.dtype)
            q, k, v = rotate_halves(q, c, s), rotate_halves(k, c, s), v.transpose(1, 2)
            repeats = q.shape[1] // k.shape[1]
            k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
            o = attend(q, k, v, causal=True)
            h = h + a.o_proj(o.transpose(1, 2).reshape(batch, length, -1))
            x = rms(h, layer.post_attention_layernorm.weight, 1e-6)
            h = h + layer.mlp.down_proj(F.silu(layer.mlp.gate_proj(x)) * layer.mlp.up_proj(x))
        return h

    def forward(self, latents, time, ids, mask):
        """`(x0 - noise, text features)`. Latents `[batch, 16, h, h]`, `time` is 1 - sigma, `ids` and
        `mask` (true for real tokens) `[batch, length]` with a length divisible by 32."""
        features = self.text(ids)
        return self.predict(latents, time, features, mask), features

    def predict(self, latents, time, features, mask):
        return self.velocity(latents, time, self.caption(features, mask))

    def caption(self, features, mask):
        """Refined tokens `[batch, length, 288]` of a prompt; they are the same at every noise level."""
        model = self.transformer
        kind = "cuda" if features.is_cuda else "cpu"
        dtype = torch.bfloat16 if torch.is_autocast_enabled(kind) else torch.float32
        words, _, _ = self.positions(features.shape[1], 1, dtype, features.device)
        c = model.cap_embedder[1](rms(features, model.cap_embedder[0].weight, 1e-5))
        c = torch.where(mask[..., None], c, model.cap_pad_token.to(c.dtype))
        for block in model.context_refiner:
            c = self.block(block, c, words)
        return c

    def velocity(self, latents, time, c, control=None):
        """`x0 - noise` for refined captions `c`. `control(x, c, grid, both, modulation)` returns what a
        ControlNet adds to the tokens, by the index of the layer that it follows."""
        model = self.transformer
        batch, channels, side, _ = latents.shape
        patches = side // 2
        kind = "cuda" if latents.is_cuda else "cpu"
        dtype = torch.bfloat16 if torch.is_autocast_enabled(kind) else torch.float32
        _, grid, both = self.positions(c.shape[1], patches, dtype, latents.device)
        half = 128
        frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=latents.device) / half)
        angles = (time * 1000.0)[:, None] * frequencies
        modulation = model.t_embedder.mlp(torch.cat([angles.cos(), angles.sin()], -1))
        x = model.all_x_embedder["2-1"](patches_of(latents))
        for block in model.noise_refiner:
            x = self.block(block, x, grid, modulation)
        x = torch.cat([x, c], 1)
        hints = control(x, c, grid, both, modulation) if control else {}
        for index, block in enumerate(model.layers):
            last = block is model.layers[-1]
            x = self.block(block, x, both, modulation, only=patches ** 2 if last else None)
            if index in hints:
                x = x + hints[index][:, :x.shape[1]]
        final = model.all_final_layer["2-1"]
        x = F.layer_norm(x.float(), (x.shape[-1],), eps=1e-6)
        x = x * (1 + final.adaLN_modulation(modulation)).unsqueeze(1)
        x = final.linear(x).float().view(batch, patches, patches, 2, 2, channels)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, side, side)

    def trained_parameters(self):
        """Named; without the text layer and the padding that nothing reads."""
        return [(n, p) for n, p in self.named_parameters()
                if not n.startswith(("text_encoder.layers.3", "text_encoder.norm")) and "x_pad_token" not in n]

    @staticmethod
    def is_matrix(name, parameter):
        return parameter.ndim == 2 and ("layers" in name or "refiner" in name) and "adaLN" not in name


def compare_with_modules():
    torch.manual_seed(0)
    model = Nano(make_transformer(), make_text_encoder(2507)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.add_(torch.randn_like(p) * 0.1)
            elif p.abs().sum() == 0:
                p.normal_(0, 0.1)
        ids = torch.randint(0, 2500, (2, 32))
        mask = torch.arange(32)[None] < torch.tensor([[20], [32]])
        latents, time = torch.randn(2, 16, 16, 16), torch.tensor([0.3, 0.8])
        ours, features = model(latents, time, ids, mask)
        hidden = model.text_encoder(
            input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states[-2]
        theirs = model.transformer(list(latents.unsqueeze(2).unbind(0)), time,
                                   [h[m] for h, m in zip(hidden, mask)], return_dict=False)[0]
        print("text", (hidden - features)[mask].abs().max().item(),
              "transformer", (torch.stack(theirs).squeeze(2) - ours).abs().max().item())
        for part in (model.transformer, model.text_encoder):
            print(type(part).__name__, sum(p.numel() for p in part.parameters()) / 1e6, "M parameters")


if __name__ == "__main__":
    compare_with_modules()
