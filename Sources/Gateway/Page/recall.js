// Part of Inkstone. Licence: see LICENSE.

import { t } from './language.js';
import { remembered } from './store.js';

const $ = (id) => document.getElementById(id);
const kept = 60;

/** Prompts of earlier requests, in a list and under Alt with the arrow keys. */
export class Recall {
  /** `place(text)` sets the prompt field. */
  constructor(place) {
    this.place = place;
    this.prompts = remembered.getJSON('prompts') ?? [];
    this.position = -1;
    this.draft = '';
    $('recall').addEventListener('toggle', () => this.list());
    $('prompt').addEventListener('input', () => { this.position = -1; });
    $('prompt').addEventListener('keydown', (event) => {
      if (!event.altKey || !['ArrowUp', 'ArrowDown'].includes(event.key)) return;
      event.preventDefault();
      this.step(event.key === 'ArrowUp' ? 1 : -1);
    });
    this.show();
  }

  note(prompt) {
    this.prompts = [prompt, ...this.prompts.filter((other) => other !== prompt)].slice(0, kept);
    this.position = -1;
    this.keep();
  }

  keep() {
    remembered.setJSON('prompts', this.prompts);
    this.show();
  }

  show() {
    $('recall').hidden = this.prompts.length === 0;
  }

  step(change) {
    const next = Math.min(this.prompts.length - 1, Math.max(-1, this.position + change));
    if (next === this.position) return;
    if (this.position === -1) this.draft = $('prompt').value;
    this.place(next === -1 ? this.draft : this.prompts[next]);
    this.position = next;
  }

  list() {
    if (!$('recall').open) return;
    $('recall-list').replaceChildren(...this.prompts.map((prompt) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = prompt;
      button.addEventListener('click', () => {
        this.place(prompt);
        $('recall').open = false;
        $('prompt').focus();
      });
      const forget = document.createElement('button');
      forget.type = 'button';
      forget.className = 'forget';
      forget.textContent = '×';
      forget.setAttribute('aria-label', t('recall.forget', { prompt }));
      forget.addEventListener('click', () => {
        this.prompts = this.prompts.filter((other) => other !== prompt);
        this.keep();
        this.list();
        $('recall').querySelector('summary').focus();
      });
      item.append(button, forget);
      return item;
    }));
  }
}
