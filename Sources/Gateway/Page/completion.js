// Part of Inkstone. Licence: see LICENSE.

import { t } from './language.js';

const $ = (id) => document.getElementById(id);
const most = 8;
const mostRows = 2;
const composingKey = 229;

/**
 * Completes the word before the caret of the prompt field from the words that the model knows.
 *
 * The field stays a text field for assistive technology, since an area of text must not have the role of a
 * combobox: it controls a listbox, whose active option it names. None is active before an arrow key, so that
 * Tab and Enter keep their meaning.
 */
export class Completion {
  /** `announce(text)` reads a text aloud. */
  constructor(announce) {
    this.announce = announce;
    this.vocabulary = null;
    this.offers = [];
    this.active = -1;
    this.isPlacing = false;
    this.isAnnounced = false;
    const field = $('prompt');
    field.addEventListener('input', (event) => { if (!event.isComposing && !this.isPlacing && !field.dataset.isReplaced) this.offer(); });
    field.addEventListener('compositionstart', () => this.close());
    field.addEventListener('compositionend', () => this.offer());
    field.addEventListener('keydown', (event) => this.press(event));
    field.addEventListener('pointerdown', () => this.close());
    field.addEventListener('blur', () => {
      this.isAnnounced = false;
      this.close();
    });
    // The focus stays in the field.
    $('completions').addEventListener('pointerdown', (event) => event.preventDefault());
    $('completions').addEventListener('mousedown', (event) => event.preventDefault());
    $('completions').addEventListener('click', (event) => {
      const option = event.target.closest('li');
      if (option) this.place([...$('completions').children].indexOf(option));
    });
  }

  /** Words to offer, or null for a model that lists none. */
  useVocabulary(vocabulary) {
    this.vocabulary = vocabulary;
    this.close();
    const roles = { 'aria-autocomplete': 'list', 'aria-haspopup': 'listbox', 'aria-controls': 'completions' };
    for (const [name, value] of Object.entries(roles)) {
      if (vocabulary) $('prompt').setAttribute(name, value);
      else $('prompt').removeAttribute(name);
    }
  }

  get isOpen() { return this.offers.length > 0; }

  /** The text before the caret; empty within a word, and while text is selected. */
  get typed() {
    const { value, selectionStart, selectionEnd } = $('prompt');
    const isInside = /^[\p{Script=Latin}\p{M}\p{N}]/u.test(value.slice(selectionStart));
    return selectionStart !== selectionEnd || isInside ? '' : value.slice(0, selectionStart);
  }

  /** Shows what completes the text before the caret. */
  offer() {
    if (!this.vocabulary || document.activeElement !== $('prompt')) return;
    this.show(this.vocabulary.completions(this.typed, most));
  }

  show(offers) {
    const box = $('completions');
    const wasOpen = this.isOpen;
    this.activate(-1);
    box.replaceChildren(...offers.map(({ word, language }, index) => {
      const option = document.createElement('li');
      option.id = `completion-${index}`;
      option.setAttribute('role', 'option');
      option.setAttribute('aria-selected', 'false');
      option.lang = language;
      option.textContent = word;
      return option;
    }));
    box.hidden = offers.length === 0;
    // They stay above the buttons of the form.
    const rows = [...new Set([...box.children].map((option) => option.offsetTop))].sort((a, b) => a - b);
    for (const option of [...box.children]) if (option.offsetTop > rows[mostRows - 1]) option.remove();
    this.offers = offers.slice(0, box.children.length);
    if (this.isOpen && !wasOpen && !this.isAnnounced) {
      this.isAnnounced = true;
      this.announce(t('completions.count', { count: this.offers.length }));
    }
  }

  close() {
    if (this.isOpen) this.show([]);
  }

  activate(index) {
    const options = $('completions').children;
    options[this.active]?.setAttribute('aria-selected', 'false');
    this.active = index;
    if (options[index]) {
      options[index].setAttribute('aria-selected', 'true');
      $('prompt').setAttribute('aria-activedescendant', options[index].id);
    } else {
      $('prompt').removeAttribute('aria-activedescendant');
    }
  }

  press(event) {
    if (!this.isOpen || event.isComposing || event.keyCode === composingKey) return;
    const isPlain = !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    const count = this.offers.length;
    if (isPlain && event.key === 'ArrowDown') {
      this.activate(this.active + 1 < count ? this.active + 1 : -1);
    } else if (isPlain && event.key === 'ArrowUp') {
      this.activate(this.active < 0 ? count - 1 : this.active - 1);
    } else if (isPlain && this.active >= 0 && (event.key === 'Enter' || event.key === 'Tab')) {
      this.place(this.active);
    } else if (event.key === 'Escape') {
      this.close();
    } else {
      // Letters are followed by an input event; all other keys move the caret, or leave.
      if (event.key.length > 1 && event.key !== 'Shift') this.close();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /** Replaces what was typed by a word; the field's undo takes it back. */
  place(index) {
    const { word, length } = this.offers[index];
    const field = $('prompt');
    const end = field.selectionEnd;
    const typed = field.value.slice(end - length, end);
    const isCapital = typed[0] !== typed[0].toLowerCase() && word[0] === word[0].toLowerCase();
    const text = isCapital ? word[0].toUpperCase() + word.slice(1) : word;
    this.close();
    this.isPlacing = true;
    field.setSelectionRange(end - length, end);
    if (!document.execCommand('insertText', false, text)) {
      field.setRangeText(text, end - length, end, 'end');
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }
    this.isPlacing = false;
  }
}
