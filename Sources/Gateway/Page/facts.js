// Part of Inkstone. Licence: see LICENSE.

import { dateTime, duration, t } from './language.js';

const name = ({ model }, models) => models.find(({ id }) => id === model)?.name ?? model;
const loraText = (lora) => `${lora.name} ${Number(lora.scale ?? 1)}`;

/** What a picture was made from, as short texts. */
export function factsOf({ job, seed, width, height, seconds }, models) {
  return [
    `${width} × ${height}`,
    t('facts.steps', { count: job.steps }),
    job.guidance_scale > 0 && t('facts.guidance', { guidance: job.guidance_scale }),
    job.sampler && job.sampler !== 'euler' && job.sampler,
    seed !== undefined && t('facts.seed', { seed }),
    ...(job.loras ?? []).map(loraText),
    job.strength && t('facts.strength', { strength: job.strength }),
    name(job, models),
    seconds !== undefined && duration(seconds),
    job.created && dateTime(job.created),
  ].filter(Boolean);
}

/** The values in which pictures differ, the likeliest first. */
const traits = [
  ({ job }) => (job.loras?.length > 0 ? job.loras.map(loraText).join(', ') : t('compare.plain')),
  ({ seed }) => t('facts.seed', { seed }),
  ({ job }) => t('facts.steps', { count: job.steps }),
  ({ job }) => t('facts.guidance', { guidance: job.guidance_scale }),
  ({ job }) => job.sampler,
  ({ job }) => (job.strength ? t('facts.strength', { strength: job.strength }) : t('compare.drawn')),
  ({ width, height }) => `${width} × ${height}`,
  ({ job }, models) => name(job, models),
  ({ job }) => `“${job.prompt}”`,
];
const mostTraits = 2;

/** Texts that say how two pictures differ, one for each. */
export function differences(one, other, models) {
  const texts = traits.map((trait) => [trait(one, models), trait(other, models)])
    .filter(([a, b]) => a !== b).slice(0, mostTraits);
  if (texts.length === 0) return [one, other].map(({ job }) => dateTime(job.created));
  return [0, 1].map((side) => texts.map((pair) => pair[side]).join(' · '));
}

/** The name of a picture's file: the words of the prompt, and the seed. */
export function fileName({ job, seed }) {
  const words = job.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const title = words.join('-').slice(0, 48).replace(/-$/u, '');
  return ['inkstone', title, seed].filter((part) => part !== '').join('-');
}
