// Part of Inkstone. Licence: see LICENSE.

const field = /\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/gu;

/** Whether a text holds the parameters of a picture, as image programs write them. */
export const isInfotext = (text) => /(?:^|\n)Steps: \d+,/u.test(text);

/** The prompts and the parameters in a text, by their names there. */
export function readInfotext(text) {
  const lines = text.trim().split('\n');
  const at = lines.findLastIndex((line) => line.startsWith('Steps: '));
  const values = {};
  for (const [, name, value] of lines.slice(at).join(', ').matchAll(field)) {
    values[name] = value.startsWith('"') ? unquoted(value) : value.trim();
  }
  const size = values.Size?.match(/^(\d+)x(\d+)$/u);
  if (size) [, values['Size-1'], values['Size-2']] = size;
  const words = lines.slice(0, at);
  const turn = words.findIndex((line) => line.startsWith('Negative prompt:'));
  const end = turn < 0 ? words.length : turn;
  values.Prompt = words.slice(0, end).join('\n').trim();
  values['Negative prompt'] = words.slice(end).join('\n').replace(/^Negative prompt:\s*/u, '').trim();
  return values;
}

function unquoted(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
