// Part of Inkstone. Licence: see LICENSE.

import { fetchBlob, readPictureFile } from './api.js';

/** One finished image of a job, as the page shows it. */
export function pictureOf(job, image) {
  const [width, height] = job.size.split('x').map(Number);
  return {
    id: `${job.id}/${image.index}`,
    job,
    path: image.url,
    thumbnail: `${image.url}/thumbnail`,
    seed: image.seed,
    width,
    height,
    seconds: image.seconds,
    digest: image.pixel_sha256,
    isTruncated: image.prompt_truncated,
  };
}

export const picturesOf = (job) => job.images.map((image) => pictureOf(job, image));

/** The form's values that generate an image again. */
export function parametersOf({ job, seed, width, height }) {
  return {
    model: job.model, prompt: job.prompt, negative: job.negative_prompt, width, height, seed,
    steps: job.steps, guidance: job.guidance_scale, strength: job.strength,
    source: job.strength ? `api/jobs/${job.id}/source` : null, loras: job.loras ?? [],
  };
}

/** The text of the generation parameters in an image's file. */
export const textOf = async (picture) => (await readPictureFile(await base64Of(await fetchBlob(picture.path)))).info;

/** The form's values that generate a saved image again, or null for a file without parameters. */
export async function parametersIn(blob) {
  const { info, parameters, loras } = await readPictureFile(await base64Of(blob));
  if (parameters.Steps === undefined) return null;
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
    strength: Number(info.match(/Denoising strength: ([\d.]+)/)?.[1]) || undefined,
    loras,
  };
}

const base64Of = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.addEventListener('load', () => resolve(reader.result.slice(reader.result.indexOf(',') + 1)));
  reader.addEventListener('error', () => reject(reader.error));
  reader.readAsDataURL(blob);
});
