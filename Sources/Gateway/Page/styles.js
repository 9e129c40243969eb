// Part of Inkstone. Licence: see LICENSE.

import { button, make } from './dom.js';
import { language, t } from './language.js';
import { remembered } from './store.js';

const $ = (id) => document.getElementById(id);
const presetFields = ['negative', 'width', 'height', 'steps', 'guidance', 'count'];

/** Styles for a beginning: name and words by language. The prompt is where `{prompt}` stands. */
const starters = [
  [{ en: 'Ink wash', zh: '水墨画' }, { en: '{prompt}, ink wash painting, soft brush, rice paper', zh: '{prompt}，水墨画，留白，宣纸质感' }],
  [{ en: 'Photograph', zh: '摄影' }, { en: 'a photograph of {prompt}, natural light, shallow depth of field', zh: '{prompt}，真实摄影，自然光，浅景深' }],
  [{ en: 'Watercolour', zh: '水彩' }, { en: '{prompt}, watercolour, loose washes, white paper', zh: '{prompt}，水彩画，清透色彩，白纸底' }],
  [{ en: 'Anime', zh: '动漫' }, { en: '{prompt}, anime illustration, clean lines, cel shading', zh: '{prompt}，日系动漫插画，干净线条，赛璐璐上色' }],
  [{ en: '3D render', zh: '三维渲染' }, { en: '{prompt}, 3D render, soft studio light, clay material', zh: '{prompt}，三维渲染，柔和棚拍光，黏土质感' }],
];

const pick = (byLanguage) => byLanguage[language] ?? byLanguage.en;

/** A prompt with a style's words. */
export function withStyle(prompt, words) {
  return words.includes('{prompt}') ? words.replaceAll('{prompt}', prompt) : [prompt, words].filter(Boolean).join(', ');
}

/** Styles, which add words to the prompt, and presets: all settings under a name. Both are the browser's. */
export class Styles {
  /** `sampling` is a part whose state presets hold. */
  constructor(page, slot, sampling) {
    Object.assign(this, { page, sampling });
    this.own = remembered.getJSON('styles') ?? [];
    this.presets = remembered.getJSON('presets') ?? [];
    this.chosen = new Set(remembered.getJSON('styles.chosen') ?? []);
    this.chips = make('div', { className: 'chips', id: 'style-chips', label: 'styles.title', attributes: { role: 'group' } });
    this.presetChips = make('div', { className: 'chips', id: 'own-presets', label: 'presets.own', attributes: { role: 'group' } });
    this.name = make('input', { id: 'style-name', type: 'text', maxLength: 40, placeholder: 'styles.name', label: 'styles.name' });
    this.words = make('textarea', { id: 'style-words', rows: 2, placeholder: 'styles.words', label: 'styles.words' });
    this.negative = make('input', { id: 'style-negative', type: 'text', placeholder: 'styles.negative', label: 'styles.negative' });
    this.presetName = make('input', { id: 'preset-name', type: 'text', maxLength: 40, placeholder: 'presets.name', label: 'presets.name' });
    const enter = (field, work) => field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.isComposing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      work();
    });
    enter(this.name, () => this.addStyle());
    enter(this.presetName, () => this.addPreset());
    this.box = make('details', { className: 'fold', id: 'styles' }, this.summary = make('summary'), make('div', { className: 'fold-body' },
      this.chips,
      make('details', { className: 'fold' }, make('summary', { i18n: 'styles.new' }), make('div', { className: 'fold-body' },
        this.name, this.words, this.negative, make('p', { className: 'hint', i18n: 'styles.hint' }),
        button('quiet', 'styles.add', () => this.addStyle(), { id: 'style-add' }))),
      make('p', { className: 'caption', i18n: 'presets.own' }), this.presetChips,
      make('div', { className: 'name-row' }, this.presetName, button('quiet', 'presets.save', () => this.addPreset(), { id: 'preset-save' }))));
    slot.append(this.box);
    this.show();
  }

  /** All styles: `id`, `name`, `words`, `negative`; starters follow the language. */
  get all() {
    return [
      ...starters.map(([name, words], index) => ({ id: `starter-${index}`, name: pick(name), words: pick(words), negative: '' })),
      ...this.own.map((style) => ({ ...style, isOwn: true })),
    ];
  }

  get active() { return this.all.filter(({ id }) => this.chosen.has(id)); }

  show() {
    this.chips.replaceChildren(...this.all.map((style) => this.chip(style, style.isOwn, {
      pressed: this.chosen.has(style.id), title: style.words,
      use: () => {
        if (!this.chosen.delete(style.id)) this.chosen.add(style.id);
        this.changed();
      },
      forget: () => {
        this.own = this.own.filter(({ id }) => id !== style.id);
        this.chosen.delete(style.id);
        this.changed();
      },
    })));
    this.presetChips.replaceChildren(...this.presets.map((preset) => this.chip(preset, true, {
      use: () => this.usePreset(preset),
      forget: () => {
        this.presets = this.presets.filter(({ name }) => name !== preset.name);
        this.changed();
      },
    })));
    const names = this.active.map(({ name }) => name);
    this.summary.textContent = names.length > 0 ? t('styles.active', { names: names.join(', ') }) : t('styles.title');
  }

  /** A chip that is used by a press, and one of the user's own with a button that removes it. */
  chip({ name }, isOwn, { pressed, title, use, forget }) {
    const focusAgain = (work) => () => {
      work();
      [...this.box.querySelectorAll('.chip')].find(({ textContent }) => textContent === name)?.focus();
    };
    const chip = make('button', { type: 'button', className: 'chip', textContent: name, title: title ?? '', on: { click: focusAgain(use) } });
    if (pressed !== undefined) chip.setAttribute('aria-pressed', String(pressed));
    if (!isOwn) return chip;
    return make('span', { className: 'chip-pair' }, chip, make('button', {
      type: 'button', className: 'chip-remove', textContent: '×', attributes: { 'aria-label': t('styles.remove', { name }) },
      on: { click: () => { forget(); this.summary.focus(); } },
    }));
  }

  changed() {
    remembered.setJSON('styles', this.own);
    remembered.setJSON('presets', this.presets);
    remembered.setJSON('styles.chosen', [...this.chosen]);
    this.show();
    this.page.settings.changed();
  }

  addStyle() {
    const [name, words] = [this.name.value.trim(), this.words.value.trim()];
    const missing = !name ? this.name : !words ? this.words : null;
    if (missing) {
      missing.focus();
      return;
    }
    const id = `own-${name}`;
    this.own = [...this.own.filter((style) => style.id !== id), { id, name, words, negative: this.negative.value.trim() }];
    this.chosen.add(id);
    for (const field of [this.name, this.words, this.negative]) field.value = '';
    this.changed();
    this.page.announce(t('styles.added', { name }));
  }

  // MARK: Presets

  addPreset() {
    const name = this.presetName.value.trim();
    if (!name) {
      this.presetName.focus();
      return;
    }
    const { settings, loras } = this.page;
    const preset = {
      name, model: settings.model.id, loras: loras.values, sampling: this.sampling.state, styles: [...this.chosen],
      ...Object.fromEntries(presetFields.map((id) => [id, $(id).value])),
    };
    this.presets = [...this.presets.filter((other) => other.name !== name), preset];
    this.presetName.value = '';
    this.changed();
    this.page.announce(t('presets.saved', { name }));
  }

  usePreset(preset) {
    const { settings, loras } = this.page;
    for (const id of presetFields) $(id).value = preset[id];
    settings.setSize({ width: preset.width, height: preset.height });
    const missing = loras.use(preset.loras);
    this.sampling.put(preset.sampling);
    this.sampling.changed();
    this.chosen = new Set(preset.styles);
    this.changed();
    this.page.note(missing.length > 0 ? t('restore.loras', { names: missing.join(', ') }) : t('presets.used', { name: preset.name }));
  }

  // MARK: Requests

  draft() {
    if (this.active.length === 0) return {};
    const prompt = this.active.reduce((text, { words }) => withStyle(text, words), $('prompt').value.trim());
    const negative = [Number($('guidance').value) > 0 ? $('negative').value.trim() : '', ...this.active.map((style) => style.negative)];
    const hasGuidance = Number($('guidance').value) > 0;
    return {
      prompt: $('prompt').value.trim() ? prompt : '',
      ...(hasGuidance && { negative_prompt: negative.filter(Boolean).join(', ') }),
    };
  }

  request() { return this.draft(); }

  /** A function that chooses what is chosen now. */
  snapshot() {
    const chosen = new Set(this.chosen);
    return () => {
      this.chosen = chosen;
      this.changed();
    };
  }

  /** The prompt of an image has the words of its styles. */
  use() {
    this.chosen.clear();
    this.changed();
  }

  word() { this.show(); }
}
