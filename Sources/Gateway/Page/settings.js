// Part of Inkstone. Licence: see LICENSE.

import { pick, t } from './language.js';

const $ = (id) => document.getElementById(id);
const storageKey = 'inkstone.settings';
const largestRandomSeed = 2 ** 31;

/** A value that cannot be sent, with the field to look at. */
export class FieldError extends Error {
  constructor(message, element) {
    super(message);
    this.element = element;
  }
}

/** The form: defaults, limits, presets and what the user chose. */
export class Settings {
  constructor(onChange) {
    this.onChange = onChange;
    this.model = null;
    this.keepsSeed = false;
    for (const id of ['width', 'height', 'steps', 'guidance', 'count']) {
      $(id).addEventListener('input', () => this.changed());
    }
    for (const id of ['steps', 'guidance']) {
      $(`${id}-slider`).addEventListener('input', (event) => {
        $(id).value = event.target.value;
        this.changed();
      });
    }
    for (const id of ['prompt', 'negative', 'seed']) $(id).addEventListener('input', () => this.save());
    for (const id of ['width', 'height']) $(id).addEventListener('change', () => this.snap($(id)));
    $('swap').addEventListener('click', () => this.setSize({ width: $('height').value, height: $('width').value }));
    $('dice').addEventListener('click', () => this.rollSeed());
    $('lock').addEventListener('click', () => this.keepSeed(!this.keepsSeed));
  }

  /** Takes over a model's limits; values come from the last visit, else from its defaults. */
  useModel(model) {
    this.model = model;
    const { limits, defaults } = model;
    for (const [id, limit] of [['width', limits.maximumWidth], ['height', limits.maximumHeight]]) {
      Object.assign($(id), { min: limits.sizeMultiple, step: limits.sizeMultiple, max: limit });
    }
    $('steps').max = limits.maximumSteps;
    $('steps-slider').max = Math.min(limits.maximumSteps, Math.max(20, 2 * defaults.steps));
    $('count').max = limits.maximumCount;
    $('count-box').hidden = limits.maximumCount < 2;
    $('prompt').maxLength = limits.maximumPromptLength;
    $('negative').maxLength = limits.maximumPromptLength;
    const saved = this.load();
    const own = saved.model === model.id ? saved : {};
    this.setSize(own.width ? own : defaults.size);
    $('steps').value = own.steps ?? defaults.steps;
    $('guidance').value = own.guidance ?? defaults.guidanceScale;
    $('negative').value = own.negative ?? defaults.negativePrompt;
    $('count').value = own.count ?? 1;
    if (saved.prompt && !$('prompt').value) $('prompt').value = saved.prompt;
    if (saved.seed) $('seed').value = saved.seed;
    if (!$('seed').value) this.rollSeed();
    this.keepSeed(saved.keepsSeed ?? false);
    this.wordChoices();
    this.changed();
  }

  /** Builds the buttons whose words depend on the language. */
  wordChoices() {
    const { presets, sizes, examples } = this.model;
    // An idea that this model can draw, where it names any.
    document.getElementById('prompt').placeholder = pick(examples)?.[0] ?? t('prompt.placeholder');
    this.fill('presets', presets, (preset) => pick(preset.name), (preset) => {
      this.setSize(preset.size);
      $('steps').value = preset.steps;
      $('guidance').value = preset.guidanceScale;
      this.changed();
    });
    this.fill('examples', pick(examples) ?? [], (text) => text, (text) => {
      $('prompt').value = text;
      this.save();
      $('prompt').focus();
    });
    this.fill('sizes', sizes, (size) => `${size.width} × ${size.height}`, (size) => this.setSize(size), true);
    this.mark();
  }

  fill(id, values, word, choose, withShape = false) {
    const box = $(`${id}-box`);
    if (box) box.hidden = values.length === 0;
    $(id).replaceChildren(...values.map((value) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'chip';
      if (withShape) {
        const shape = document.createElement('i');
        const longest = Math.max(value.width, value.height);
        shape.style.width = `${(14 * value.width) / longest}px`;
        shape.style.height = `${(14 * value.height) / longest}px`;
        button.append(shape);
      }
      button.append(word(value));
      button.addEventListener('click', () => choose(value));
      return button;
    }));
  }

  /** Shows which size and preset the present values are. */
  mark() {
    const { width, height, steps, guidance } = this.values();
    const same = (size) => size.width === width && size.height === height;
    this.model.sizes.forEach((size, index) => this.press('sizes', index, same(size)));
    this.model.presets.forEach((preset, index) => {
      const isOn = same(preset.size) && preset.steps === steps && preset.guidanceScale === guidance;
      this.press('presets', index, isOn);
    });
  }

  press(id, index, isOn) {
    $(id).children[index]?.setAttribute('aria-pressed', String(isOn));
  }

  setSize({ width, height }) {
    $('width').value = width;
    $('height').value = height;
    this.changed();
  }

  /** Rounds a side to the nearest that the model can draw, as soon as the field is left. */
  snap(input) {
    const { min, max, step } = input;
    if (input.value === '') return;
    const whole = Math.round(Number(input.value) / step) * step;
    input.value = Math.min(Math.max(whole, min), max);
    this.changed();
  }

  rollSeed() {
    $('seed').value = Math.floor(Math.random() * largestRandomSeed);
    this.save();
  }

  keepSeed(isKept) {
    this.keepsSeed = isKept;
    $('lock').setAttribute('aria-pressed', String(isKept));
    this.save();
  }

  /** Takes over what a picture was made with, seed included. */
  reuse(parameters) {
    $('prompt').value = parameters.prompt;
    $('negative').value = parameters.negative_prompt ?? '';
    $('steps').value = parameters.steps;
    $('guidance').value = parameters.guidance_scale;
    $('seed').value = parameters.seed;
    this.setSize(parameters);
    this.keepSeed(true);
  }

  changed() {
    if (!this.model) return;
    $('steps-slider').value = $('steps').value;
    $('guidance-slider').value = $('guidance').value;
    $('negative-box').hidden = !(Number($('guidance').value) > 0);
    this.mark();
    this.save();
    this.onChange(this.values());
  }

  values() {
    const number = (id) => ($(id).value.trim() === '' ? NaN : Number($(id).value));
    return {
      width: number('width'),
      height: number('height'),
      steps: number('steps'),
      guidance: number('guidance'),
      count: number('count'),
      seed: number('seed'),
    };
  }

  /** What to send. Throws `FieldError` for the first field that the server would refuse. */
  request() {
    if (!this.keepsSeed) this.rollSeed();
    const prompt = $('prompt').value.trim();
    if (!prompt) throw new FieldError(t('error.prompt'), $('prompt'));
    const { limits } = this.model;
    const values = this.values();
    for (const [id, limit] of [['width', limits.maximumWidth], ['height', limits.maximumHeight]]) {
      const unit = limits.sizeMultiple;
      if (!(values[id] >= unit && values[id] <= limit && values[id] % unit === 0)) {
        throw new FieldError(t('error.size', { name: t(`size.${id}`), unit, limit }), $(id));
      }
    }
    this.check('steps', values.steps, 1, limits.maximumSteps);
    this.check('guidance', values.guidance, 0, 100, false);
    this.check('seed', values.seed, 0, Number.MAX_SAFE_INTEGER);
    this.check('count', values.count, 1, limits.maximumCount);
    return {
      model: this.model.id,
      prompt,
      negative_prompt: values.guidance > 0 ? $('negative').value.trim() : '',
      width: values.width,
      height: values.height,
      steps: values.steps,
      guidance_scale: values.guidance,
      seed: values.seed,
      count: values.count,
    };
  }

  check(id, value, low, high, isWhole = true) {
    if (value >= low && value <= high && (!isWhole || Number.isInteger(value))) return;
    throw new FieldError(t('error.range', { name: t(`${id}.label`), low, high }), $(id));
  }

  save() {
    if (!this.model) return;
    const kept = { model: this.model.id, keepsSeed: this.keepsSeed };
    for (const id of ['prompt', 'negative', 'width', 'height', 'steps', 'guidance', 'count', 'seed']) {
      kept[id] = $(id).value;
    }
    // Storage may be forbidden; the page works without.
    try { localStorage.setItem(storageKey, JSON.stringify(kept)); } catch { /* nothing to keep */ }
  }

  load() {
    try { return JSON.parse(localStorage.getItem(storageKey)) ?? {}; } catch { return {}; }
  }
}
