// Part of Inkstone. Licence: see LICENSE.

import { addLora, fetchLoras, removeLora } from './api.js';
import { t } from './language.js';

const $ = (id) => document.getElementById(id);

/** The LoRA files that a request uses, each with its weight. */
export class Loras {
  constructor(onChange) {
    this.onChange = onChange;
    this.known = [];
    /** Files that cannot be used, with the reason. */
    this.skipped = [];
    /** Weights by name, of those in use. */
    this.chosen = new Map();
    /** Other weights for the text encoder, by name; they last until the weight is changed. */
    this.textScales = new Map();
    $('lora-add').addEventListener('click', () => $('lora-file').click());
    $('lora-file').addEventListener('change', () => {
      const file = $('lora-file').files[0];
      $('lora-file').value = '';
      if (file) this.add(file);
    });
  }

  async load() {
    ({ loras: this.known, skipped: this.skipped } = await fetchLoras());
    $('loras-box').hidden = false;
    this.list();
  }

  /** Uploads a file to the server and selects it. */
  async add(file) {
    const name = file.name.replace(/\.safetensors$/u, '');
    const note = $('lora-note');
    note.textContent = t('loras.adding', { name });
    $('lora-add').disabled = true;
    try {
      const { warning } = await addLora(name, file);
      note.textContent = warning ?? t('loras.added', { name });
      await this.load();
      this.chosen.set(name, this.find(name)?.scale ?? 1);
      this.list();
      this.onChange();
    } catch (error) {
      note.textContent = error.message;
    } finally {
      $('lora-add').disabled = false;
    }
  }

  async remove(name) {
    if (!window.confirm(t('loras.confirm', { name }))) return;
    const note = $('lora-note');
    try {
      await removeLora(name);
      this.chosen.delete(name);
      note.textContent = t('loras.removed', { name });
      await this.load();
      this.onChange();
      $('lora-add').focus();
    } catch (error) {
      note.textContent = error.message;
    }
  }

  /** The request's fields: none if there are no files. */
  get values() {
    return [...this.chosen].filter(([name]) => this.find(name)).map(([name, scale]) => ({
      name, scale, ...(this.textScales.has(name) && { text_scale: this.textScales.get(name) }),
    }));
  }

  /** Selects exactly these; returns the names that the server does not have. */
  use(values) {
    this.chosen = new Map(values.map(({ name, scale }) => [name, scale]));
    this.textScales = new Map(values.filter((lora) => lora.text_scale !== undefined)
      .map((lora) => [lora.name, lora.text_scale]));
    this.list();
    return values.filter(({ name }) => !this.find(name)).map(({ name }) => name);
  }

  find(name) {
    return this.known.find((lora) => lora.name === name);
  }

  list() {
    $('loras').replaceChildren(...this.known.map((lora) => this.row(lora)), ...this.skipped.map(({ file, reason }) => {
      const row = document.createElement('li');
      const line = document.createElement('p');
      line.className = 'hint';
      line.style.gridColumn = '1 / -1';
      line.textContent = t('loras.skipped', { file, reason });
      row.append(line);
      return row;
    }));
  }

  row({ name, scale = 1, thumbnail, removable }) {
    const row = document.createElement('li');
    const choice = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = this.chosen.has(name);
    choice.append(box);
    if (thumbnail) {
      const image = document.createElement('img');
      image.alt = '';
      image.src = thumbnail;
      choice.append(image);
    }
    choice.append(name);
    const slider = document.createElement('input');
    Object.assign(slider, { type: 'range', min: -1, max: 2, step: 0.05, value: this.chosen.get(name) ?? scale });
    const figure = document.createElement('output');
    const show = () => {
      figure.textContent = Number(slider.value).toFixed(2);
      slider.disabled = !box.checked;
      slider.setAttribute('aria-label', t('loras.weight', { name }));
    };
    const change = () => {
      this.textScales.delete(name);
      if (box.checked) this.chosen.set(name, Number(slider.value));
      else this.chosen.delete(name);
      show();
      this.onChange();
    };
    box.addEventListener('change', change);
    slider.addEventListener('input', change);
    show();
    row.append(choice, slider, figure);
    if (removable) {
      const button = document.createElement('button');
      Object.assign(button, { type: 'button', className: 'quiet icon small lora-remove', textContent: '×' });
      button.setAttribute('aria-label', t('loras.remove', { name }));
      button.title = t('loras.remove', { name });
      button.addEventListener('click', () => this.remove(name));
      row.append(button);
    }
    return row;
  }
}
