// Part of Inkstone. Licence: see LICENSE.

import { addLora, fetchLoras, removeLora } from './api.js';
import { button, make } from './dom.js';
import { t } from './language.js';

const $ = (id) => document.getElementById(id);
/** More files than these are folded, and can be searched. */
const few = 5;

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
    this.isOpen = false;
    this.search = make('input', { type: 'search', id: 'lora-search', hidden: true, on: { input: () => this.list() } });
    this.all = make('button', {
      type: 'button', className: 'chip others', id: 'lora-all', hidden: true, attributes: { 'aria-expanded': 'false' },
      on: { click: () => { this.isOpen = !this.isOpen; this.list(); } },
    });
    $('loras').before(this.search);
    $('loras').after(this.all);
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
    this.say(t('loras.adding', { name }));
    $('lora-add').disabled = true;
    try {
      const { warning } = await addLora(name, file);
      await this.load();
      this.chosen.set(name, this.find(name)?.scale ?? 1);
      this.list();
      this.say(warning ? t('loras.warning', { name, warning }) : t('loras.added', { name }));
      this.onChange();
    } catch (error) {
      this.fail('loras.refused', name, error);
    } finally {
      $('lora-add').disabled = false;
    }
  }

  async remove(name) {
    if (!window.confirm(t('loras.confirm', { name }))) return;
    try {
      await removeLora(name);
      this.chosen.delete(name);
      await this.load();
      this.say(t('loras.removed', { name }));
      this.onChange();
      $('lora-add').focus();
    } catch (error) {
      this.fail('loras.kept', name, error);
    }
  }

  say(text) {
    $('lora-note').replaceChildren(text);
    $('lora-note').classList.remove('is-error');
  }

  /** Says what failed in the page's language, and the server's reason in its own words below. */
  fail(key, name, error) {
    const known = t(`error.${error.code}`, { seconds: error.retryAfter });
    const reason = known === `error.${error.code}` ? make('span', { lang: 'en', textContent: error.message }) : known;
    $('lora-note').replaceChildren(t(key, { name }), ' ', reason);
    $('lora-note').classList.add('is-error');
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

  /** The files that are shown: those that are searched for, else the chosen ones and a few more. */
  get visible() {
    const words = this.search.value.trim().toLowerCase().split(/\s+/u).filter(Boolean);
    const text = ({ name, title, summary, triggers = [] }) => [name, title, summary, ...triggers].join(' ').toLowerCase();
    if (words.length > 0) return this.known.filter((lora) => words.every((word) => text(lora).includes(word)));
    if (this.isOpen || this.known.length <= few) return this.known;
    const others = this.known.filter(({ name }) => !this.chosen.has(name)).slice(0, Math.max(1, few - this.chosen.size));
    return this.known.filter((lora) => this.chosen.has(lora.name) || others.includes(lora));
  }

  list() {
    this.search.placeholder = t('loras.search');
    this.search.setAttribute('aria-label', t('loras.search'));
    this.search.hidden = this.known.length <= few;
    this.all.hidden = this.search.hidden || this.search.value.trim() !== '';
    this.all.textContent = t(this.isOpen ? 'loras.fewer' : 'loras.all', { count: this.known.length });
    this.all.setAttribute('aria-expanded', String(this.isOpen));
    const { visible } = this;
    const folderOf = ({ name }) => name.split('/').slice(0, -1).join('/');
    const hasFolders = visible.some((lora) => folderOf(lora) !== '');
    const sorted = hasFolders ? [...visible].sort((a, b) => folderOf(a).localeCompare(folderOf(b)) || a.name.localeCompare(b.name)) : visible;
    const rows = sorted.flatMap((lora, index) => {
      const folder = folderOf(lora);
      const isFirst = hasFolders && folder !== '' && (index === 0 || folderOf(sorted[index - 1]) !== folder);
      return [...(isFirst ? [make('li', { className: 'lora-folder', textContent: folder })] : []), this.row(lora)];
    });
    if (rows.length === 0 && this.known.length > 0) rows.push(make('li', { className: 'lora-folder', textContent: t('loras.none') }));
    rows.push(...this.skipped.map(({ file, reason }) => make('li', {
      className: 'lora-folder', textContent: t('loras.skipped', { file, reason }),
    })));
    $('loras').replaceChildren(...rows);
  }

  row({ name, scale = 1, thumbnail, removable, title, summary, triggers = [] }) {
    const box = make('input', { type: 'checkbox', checked: this.chosen.has(name) });
    const shown = name.split('/').at(-1);
    const choice = make('label', { title: [title, summary].filter(Boolean).join(': ') }, box,
      thumbnail ? make('img', { alt: '', src: thumbnail }) : null, shown);
    const slider = make('input', { type: 'range', min: -1, max: 2, step: 0.05, value: this.chosen.get(name) ?? scale });
    const figure = make('output');
    const words = make('div', { className: 'chips lora-words' }, ...triggers.map((word) => make('button', {
      type: 'button', className: 'chip', textContent: word, title: t('loras.insert', { word }),
      attributes: { 'aria-label': t('loras.insert', { word }) }, on: { click: () => this.insert(word) },
    })));
    const show = () => {
      figure.textContent = Number(slider.value).toFixed(2);
      slider.disabled = !box.checked;
      words.hidden = !box.checked || triggers.length === 0;
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
    const row = make('li', { data: { lora: name } }, choice, slider, figure);
    if (removable) {
      const item = button('quiet icon small lora-remove', '', () => this.remove(name), { textContent: '×', title: t('loras.remove', { name }) });
      item.setAttribute('aria-label', t('loras.remove', { name }));
      row.append(item);
    }
    row.append(words);
    return row;
  }

  /** Puts a trigger word into the prompt, where it is not yet. */
  insert(word) {
    const field = $('prompt');
    if (!field.value.toLowerCase().includes(word.toLowerCase())) {
      const isHan = /\p{Script=Han}/u.test(word);
      const text = `${field.value.trimEnd() ? (isHan ? '，' : ', ') : ''}${word}`;
      field.focus();
      field.setSelectionRange(field.value.trimEnd().length, field.value.length);
      // The field's own undo takes it back.
      if (!document.execCommand('insertText', false, text)) field.value = field.value.trimEnd() + text;
      this.onChange();
    }
    field.focus();
  }
}
