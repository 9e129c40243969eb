// Part of Inkstone. Licence: see LICENSE.

import { make } from './dom.js';
import { t } from './language.js';
import { FieldError } from './settings.js';
import { remembered } from './store.js';

const $ = (id) => document.getElementById(id);
/** Requests of one press at most. */
export const mostRequests = 64;

/** The prompts of a text with choices such as `a {red|blue} apple`: every combination. */
export function combinations(text) {
  const match = text.match(/\{([^{}]*\|[^{}]*)\}/u);
  if (!match) return [text];
  const [before, after] = [text.slice(0, match.index), text.slice(match.index + match[0].length)];
  const rests = combinations(after);
  const found = [];
  for (const choice of match[1].split('|')) {
    for (const rest of rests) {
      found.push(`${before}${choice.trim()}${rest}`);
      if (found.length > mostRequests) return found;
    }
  }
  return found;
}

/** How a press of the button becomes several requests: choices in braces, or a prompt on each line. */
export class Modes {
  constructor(page, slot) {
    this.page = page;
    const changed = () => {
      remembered.set('mode', this.select.value);
      this.word();
    };
    this.select = make('select', { id: 'mode', on: { change: changed } },
      ...['one', 'matrix', 'lines'].map((value) => make('option', { value, i18n: `mode.${value}` })));
    this.count = make('p', { className: 'hint', id: 'mode-count', attributes: { role: 'status' } });
    this.select.setAttribute('aria-describedby', 'mode-count');
    this.grid = make('button', { type: 'button', className: 'quiet', id: 'grid-open', i18n: 'grid.open', on: { click: () => this.openGrid() } });
    slot.append(make('label', { className: 'pair' }, make('span', { i18n: 'mode.title' }), this.select), this.count, this.grid);
    this.select.value = remembered.get('mode') ?? 'one';
    if (!this.select.value) this.select.value = 'one';
    $('prompt').addEventListener('input', () => this.word());
    this.word();
  }

  /** The prompts that a text stands for. */
  prompts(text) {
    if (this.select.value === 'matrix') return combinations(text);
    if (this.select.value === 'lines') return text.split('\n').map((line) => line.trim()).filter(Boolean);
    return [text];
  }

  word() {
    const { length } = this.prompts($('prompt').value.trim());
    const mode = this.select.value;
    const key = length > mostRequests ? 'mode.tooMany' : `mode.${mode}.count`;
    this.count.textContent = mode === 'one' ? '' : t(key, { count: length, most: mostRequests });
    this.count.hidden = mode === 'one';
  }

  /**
   * The requests of a request; one is left as it is.
   *
   * Throws `FieldError` for more than there may be.
   */
  expand(request) {
    const prompts = this.prompts(request.prompt);
    if (prompts.length > mostRequests) throw new FieldError(() => t('mode.tooMany', { count: prompts.length, most: mostRequests }), $('prompt'));
    return prompts.map((prompt) => ({ ...request, prompt }));
  }

  async openGrid() {
    try {
      const { Grid } = await import('./grid.js');
      this.sheet ??= new Grid(this.page);
      this.sheet.open();
    } catch (error) {
      this.page.fail(error);
    }
  }
}
