#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Make images with diffusers, and keep what another program must reproduce.

    reference_images.py MODEL --output FILE <JOB

The job is JSON on standard input: `{"images": [{"name", "prompt", "negative_prompt", "width", "height", "steps", "seed",
"guidance_scale", "cfg_normalization", "cfg_truncation"}]}`. The file, in safetensors, has the tensors of each image as
`NAME/TENSOR` under the names of `inkstone generate --trace`, and each image's settings in its metadata. `inkstone verify`
runs this script and reads the file. Progress is on standard output.

Computes in f32 if the memory is enough for it, else in bf16, and has one component in memory at a time. Needs torch,
diffusers, transformers and safetensors.
"""

import argparse
import gc
import json
import os
import pathlib
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

LENGTH = 512


def choose_precision(folder):
    """f32 if the largest component fits into the free memory with some to spare."""
    largest = max(sum(file.stat().st_size for file in (folder / name).glob("*.safetensors"))
                  for name in ("text_encoder", "transformer", "vae"))
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # Stored in 16 bits as a rule: twice the size, and loading needs a copy of a shard.
    return torch.float32 if 2.5 * largest < free else torch.bfloat16


def say(text):
    print(text, flush=True)


def encode(folder, images, precision):
    """Token ids and features of all prompts; the encoder is gone when this returns."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    encoder = AutoModel.from_pretrained(folder / "text_encoder", dtype=precision).eval()
    features = {}
    for text in {image[key] for image in images for key in ("prompt", "negative_prompt")}:
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=True)
        ids = tokenizer([chat], max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
        hidden = encoder(input_ids=ids, output_hidden_states=True).hidden_states[-2][0]
        features[text] = ids[0].to(torch.int32), hidden
    return features


def record_outputs(transformer):
    """The list to which each call of the transformer adds its output."""
    outputs, forward = [], transformer.forward

    def recorded(*arguments, **options):
        result = forward(*arguments, **options)
        samples = result[0] if isinstance(result, tuple) else result.sample
        outputs.append(torch.stack([sample.detach().float() for sample in samples]))
        return result

    transformer.forward = recorded
    return outputs


def sample(folder, images, features, precision):
    """Every tensor up to the last latents, by image; the transformer is gone when this returns."""
    transformer = ZImageTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=precision).eval()
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")
    # Of the autoencoder the pipeline needs the scale alone.
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=precision)
    pipeline = ZImagePipeline(
        scheduler=scheduler, vae=vae, text_encoder=None, tokenizer=None, transformer=transformer)
    pipeline.set_progress_bar_config(disable=True)
    outputs = record_outputs(transformer)
    results = {}
    for image in images:
        say(f"reference: sampling {image['name']}")
        tensors, steps = {}, []
        ids, hidden = features[image["prompt"]]
        tensors["pos.input_ids"], tensors["pos.text_features"] = ids, hidden.float()
        options = {"prompt_embeds": [hidden]}
        if image["guidance_scale"] > 0:
            ids, hidden = features[image["negative_prompt"]]
            tensors["neg.input_ids"], tensors["neg.text_features"] = ids, hidden.float()
            options["negative_prompt_embeds"] = [hidden]
        shape = (1, transformer.config.in_channels, 2 * (image["height"] // 16), 2 * (image["width"] // 16))
        noise = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(image["seed"]))
        tensors["latents.init"] = noise

        def keep(_, index, timestep, values):
            steps.append(values["latents"].detach().float().clone())
            return {}

        outputs.clear()
        pipeline(
            **options, latents=noise.clone(), height=image["height"], width=image["width"],
            num_inference_steps=image["steps"], guidance_scale=image["guidance_scale"],
            cfg_normalization=image["cfg_normalization"] or False, cfg_truncation=image["cfg_truncation"],
            output_type="latent", callback_on_step_end=keep)
        tensors["sigmas"] = scheduler.sigmas.float().clone()
        tensors |= {f"transformer_out.{index}": output for index, output in enumerate(outputs)}
        tensors["latents"] = torch.cat(steps)
        results[image["name"]] = tensors
    return results


def decode(folder, results, precision):
    """Adds the decoded pixels to the tensors of each image."""
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=precision).eval()
    for name, tensors in results.items():
        say(f"reference: decoding {name}")
        latents = tensors["latents"][-1:].to(precision) / vae.config.scaling_factor + vae.config.shift_factor
        decoded = vae.decode(latents, return_dict=False)[0].float()
        tensors["decoded"] = decoded
        pixels = (decoded[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0)
        tensors["rgb8"] = (pixels * 255).round().to(torch.uint8)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    images = json.load(sys.stdin)["images"]
    precision = choose_precision(arguments.model)
    say(f"reference: encoding the prompts in {str(precision).removeprefix('torch.')}")
    features = encode(arguments.model, images, precision)
    gc.collect()
    results = sample(arguments.model, images, features, precision)
    gc.collect()
    decode(arguments.model, results, precision)
    metadata = {
        "format": "inkstone-reference", "precision": str(precision).removeprefix("torch."),
        "torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__,
    } | {f"image.{image['name']}": json.dumps(image, ensure_ascii=False) for image in images}
    save_file({f"{name}/{key}": tensor.contiguous().clone() for name, tensors in results.items()
               for key, tensor in tensors.items()}, arguments.output, metadata)


if __name__ == "__main__":
    main()
