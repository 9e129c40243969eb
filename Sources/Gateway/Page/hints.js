// Part of Inkstone. Licence: see LICENSE.

import { anyOf } from './language.js';

const qualityWords = new RegExp([
  '\\b(?:masterpiece|(?:best|high(?:est)?|top) quality|(?:ultra|highly|extremely|hyper)[- ]?(?:detailed|realistic)',
  'absurdres|[48]k(?: uhd)?|uhd|hdr|award[- ]winning|trending on artstation|sharp focus|intricate details?)\\b',
].join('|'), 'giu');
const qualityWordsChinese = /杰作|(?:最佳|最高|高|顶级)(?:质量|品质|画质)|大师(?:作品|级)|超(?:精细|高清|写实|清晰)|极致细节|细节丰富|[48]K(?:高清)?/gu;
const weight = /\([^()]+:\s*\d*\.?\d+\)/u;
const loraTag = /<lora:[^>]+>/iu;
const quoted = /"[^"]*"|“[^”]*”|「[^」]*」|『[^』]*』|《[^》]*》|'[^']*'(?!\p{L})/gu;

/**
 * The parts of a prompt that are harmful with a model of this kind, as keys of texts with their values.
 *
 * Z-Image follows sentences. The tags that other models were trained on are plain words to it. A small model
 * knows the words of its vocabulary only.
 */
export function promptHints(prompt, vocabulary = null) {
  const hints = [];
  if (vocabulary?.isForeign(prompt)) hints.push(['hint.foreign', { words: anyOf(vocabulary.samples(prompt, 3)) }]);
  const words = [...prompt.matchAll(qualityWords), ...prompt.matchAll(qualityWordsChinese)].map(([word]) => word);
  if (new Set(words.map((word) => word.toLowerCase())).size > 1) {
    hints.push(['hint.quality', { words: [...new Set(words)].slice(0, 3).join(', ') }]);
  }
  if (loraTag.test(prompt)) hints.push(['hint.lora', {}]);
  if (weight.test(prompt)) hints.push(['hint.weight', { example: prompt.match(weight)[0] }]);
  // Quoted text, to be written in the image, may be in any language.
  const rest = prompt.replace(quoted, ' ');
  const han = rest.match(/\p{Script=Han}/gu)?.length ?? 0;
  const latin = rest.match(/\p{Script=Latin}{2,}/gu)?.length ?? 0;
  if (han >= 2 && latin >= 2) hints.push(['hint.mixed', {}]);
  return hints;
}
