// Part of Inkstone. Licence: see LICENSE.

import { fetchBlob, readPictureFile } from './api.js';
import { seedAfter } from './seeds.js';

/** Width and height of a job's images; a second pass makes them larger than its size. */
function sizeOf({ size, hires }) {
  return hires ? [hires.size.width, hires.size.height] : size.split('x').map(Number);
}

/** One finished image of a job, as the page shows it. */
export function pictureOf(job, image) {
  const [width, height] = sizeOf(job);
  return {
    id: `${job.id}/${image.index}`,
    job,
    path: image.url,
    thumbnail: `${image.url}/thumbnail`,
    index: image.index,
    seed: image.seed,
    width,
    height,
    seconds: image.seconds,
    digest: image.pixel_sha256,
    isTruncated: image.prompt_truncated,
    isStarred: image.starred ?? false,
  };
}

export const picturesOf = (job) => job.images.map((image) => pictureOf(job, image));

/** The form's values that generate an image again. */
export function parametersOf({ job, seed }) {
  const [width, height] = job.size.split('x').map(Number);
  return {
    model: job.model, prompt: job.prompt, negative: job.negative_prompt, width, height, seed,
    steps: job.steps, guidance: job.guidance_scale, strength: job.strength,
    source: job.strength ? `api/jobs/${job.id}/source` : null, loras: job.loras ?? [],
    sampling: samplingOf(job, seed), controls: job.controls ?? [],
  };
}

/** What beside steps and seed decides how an image is sampled. */
function samplingOf(job, seed) {
  const { hires, seed_variance: variance } = job;
  return {
    sampler: job.sampler, scheduler: job.scheduler, shift: job.shift,
    // Images of a job count on from both seeds.
    variationSeed: job.variation_seed === undefined ? undefined : seedAfter(job.variation_seed, BigInt(seed) - BigInt(job.seed)),
    variationStrength: job.variation_strength, variance: variance?.strength,
    hires: hires && {
      factor: hires.size.width / Number(job.size.split('x')[0]), upscaler: hires.upscaler,
      strength: hires.strength, steps: hires.steps,
    },
  };
}

/** The fields of a request that generates an image again; what it started from is not in them. */
export function requestOf(picture) {
  const { job } = picture;
  const { width, height, sampling } = parametersOf(picture);
  const { hires } = job;
  return {
    model: job.model, prompt: job.prompt, negative_prompt: job.negative_prompt, width, height, seed: picture.seed,
    steps: job.steps, guidance_scale: job.guidance_scale, count: 1, sampler: job.sampler, scheduler: job.scheduler,
    ...(job.shift !== undefined && { shift: job.shift }), ...(job.sigmas && { sigmas: job.sigmas }),
    ...(sampling.variationStrength && {
      variation_seed: sampling.variationSeed, variation_strength: sampling.variationStrength,
    }),
    ...(job.seed_variance && { seed_variance: job.seed_variance }),
    ...(job.loras?.length > 0 && { loras: job.loras }),
    ...(hires && {
      hires: { ...hires.size, upscaler: hires.upscaler, strength: hires.strength, ...(hires.steps && { steps: hires.steps }) },
    }),
  };
}

/** The name under which an image is saved: its first words, its seed and its day. */
export function nameOf({ job, seed }) {
  const words = job.prompt.normalize('NFC').match(/[\p{L}\p{M}\p{N}]+/gu)?.join('-').slice(0, 40).replace(/-$/u, '') ?? '';
  const day = new Date(job.created * 1000).toISOString().slice(0, 10);
  return `${[words || 'inkstone', seed, day].join('-')}.png`;
}

/** The text of the generation parameters in an image's file. */
export const textOf = async (picture) => (await readPictureFile(await base64Of(await fetchBlob(picture.path)))).info;

/** The form's values that generate a saved image again, or null for a file without parameters. */
export async function parametersIn(blob) {
  const { info, parameters, loras } = await readPictureFile(await base64Of(blob));
  return parameters.Steps === undefined ? null : valuesOf(parameters, info, loras);
}

/** The form's values of parameters, by the names that image programs write, and of their whole text. */
export function valuesOf(parameters, info, loras = [...lorasIn(info), ...tagsIn(info)]) {
  const number = (key) => (parameters[key] === undefined ? undefined : Number(parameters[key]));
  return {
    model: parameters.Model,
    prompt: parameters.Prompt.replace(/\s*<lora:[^<>]+>/g, ''),
    negative: parameters['Negative prompt'],
    width: number('Size-1'),
    height: number('Size-2'),
    seed: parameters.Seed,
    steps: number('Steps'),
    // Other programs count from 1, which is off.
    guidance: Math.max(0, (number('CFG scale') ?? 1) - 1),
    // With a second pass it is that one's.
    strength: info.includes('Hires resize: ') ? undefined : fieldIn(info, 'Denoising strength'),
    loras,
    sampling: samplingIn(info, parameters, number('Size-1')),
  };
}

const textIn = (info, name) => info.match(new RegExp(`(?:^|, |\\n)${name}: ([^,\\n]+)`))?.[1].trim();
const fieldIn = (info, name) => Number(textIn(info, name)?.split(' ')[0]) || undefined;

function samplingIn(info, parameters, width) {
  const resize = textIn(info, 'Hires resize')?.match(/^(\d+)x(\d+)$/);
  const upscalers = {
    Lanczos: 'lanczos', Latent: 'latent', 'Latent (bicubic)': 'latent_bicubic', 'Latent (nearest-exact)': 'latent_nearest',
  };
  return {
    sampler: parameters.Sampler, scheduler: parameters['Schedule type'], shift: fieldIn(info, 'Shift'),
    variationSeed: textIn(info, 'Variation seed'), variationStrength: fieldIn(info, 'Variation seed strength'),
    variance: fieldIn(info, 'Seed variance'),
    hires: resize && {
      factor: Number(resize[1]) / width, upscaler: upscalers[textIn(info, 'Hires upscaler')],
      strength: fieldIn(info, 'Denoising strength'), steps: fieldIn(info, 'Hires steps'),
    },
  };
}

/** LoRA files with their weights: ours are pairs in one value, other programs write tags. */
function lorasIn(info) {
  const value = info.match(/Lora weights: ("(?:[^"\\]|\\.)*"|[^,\n]*)/)?.[1] ?? '';
  const list = value.startsWith('"') ? JSON.parse(value) : value;
  return [...list.matchAll(/([^,]+?): (-?[\d.]+)(?:, |$)/g)].map(([, name, scale]) => ({ name: name.trim(), scale: Number(scale) }));
}

const tagsIn = (info) => [...info.matchAll(/<lora:([^:<>]+):(-?[\d.]+)>/g)].map(([, name, scale]) => ({ name, scale: Number(scale) }));

/** The bytes of a file in base64. */
export const base64Of = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.addEventListener('load', () => resolve(reader.result.slice(reader.result.indexOf(',') + 1)));
  reader.addEventListener('error', () => reject(reader.error));
  reader.readAsDataURL(blob);
});
