// Part of Inkstone. Licence: see LICENSE.

import { duration, t } from './language.js';

const $ = (id) => document.getElementById(id);
const historyLength = 24;

/** Where pictures appear: previews, the result with its tools, and earlier results. */
export class Stage {
  constructor(onReuse) {
    this.pictures = [];
    this.shown = null;
    this.scale = 'fit';
    $('copy').addEventListener('click', () => this.copy());
    $('reuse').addEventListener('click', () => this.shown && onReuse(this.shown.request));
    for (const button of $('scales').children) {
      button.addEventListener('click', () => this.useScale(button.dataset.scale));
    }
  }

  /** Gives the empty frame the shape of the picture to come. */
  shape({ width, height }) {
    if (this.shown || !(width > 0 && height > 0)) return;
    this.frame(width, height);
  }

  frame(width, height) {
    $('frame').style.setProperty('--ratio', `${width / height}`);
  }

  /** Clears the stage for a new request. */
  begin({ width, height }) {
    this.shown = null;
    this.frame(width, height);
    this.useScale('fit');
    $('empty').hidden = true;
    $('picture').hidden = true;
    $('picture').removeAttribute('src');
    $('wait').hidden = false;
    $('result').hidden = true;
    this.mark();
  }

  /** Shows a preview: small, so its pixels are blurred into each other, less with every step. */
  async preview(url, share) {
    const picture = $('picture');
    picture.src = url;
    await picture.decode().catch(() => {});
    if (picture.src !== url) return;
    const pixel = $('frame').clientWidth / Math.max(1, picture.naturalWidth);
    picture.style.setProperty('--haze', `${(0.55 - 0.3 * share) * pixel}px`);
    picture.hidden = false;
    picture.alt = '';
    picture.className = 'is-preview';
    $('wait').hidden = true;
  }

  /** Shows the last result again, or the empty stage, after a request without a picture. */
  end() {
    $('wait').hidden = true;
    if (this.shown) return;
    if (this.pictures.length > 0) {
      this.show(this.pictures[0]);
    } else {
      $('picture').hidden = true;
      $('empty').hidden = false;
    }
  }

  /** Adds a finished picture and shows it. */
  add(data, request) {
    const bytes = Uint8Array.from(atob(data.base64), (character) => character.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
    const made = { ...request, seed: data.seed, count: 1 };
    const picture = { ...data, base64: null, url, request: made };
    this.pictures.unshift(picture);
    for (const old of this.pictures.splice(historyLength)) URL.revokeObjectURL(old.url);
    this.listHistory();
    this.show(picture);
  }

  show(picture) {
    this.shown = picture;
    const image = $('picture');
    image.src = picture.url;
    image.alt = picture.request.prompt;
    image.className = '';
    image.hidden = false;
    $('empty').hidden = true;
    $('wait').hidden = true;
    this.frame(picture.width, picture.height);
    $('download').href = picture.url;
    $('download').download = `inkstone-${picture.seed}.png`;
    $('result').hidden = false;
    $('truncated').hidden = !picture.promptTruncated;
    this.useScale(this.scale);
    this.word();
    this.mark();
  }

  /** Words what depends on the language. */
  word() {
    const picture = this.shown;
    if (picture) {
      const key = picture.guidanceScale > 0 ? 'facts.guided' : 'facts';
      $('facts').textContent = t(key, {
        width: picture.width, height: picture.height, steps: picture.steps,
        guidance: picture.guidanceScale, seed: picture.seed, time: duration(picture.seconds),
      });
    }
    [...$('history').querySelectorAll('button')].forEach((button, index) => {
      button.setAttribute('aria-label', t('history.item', { seed: this.pictures[index].seed }));
    });
  }

  listHistory() {
    $('history-box').hidden = this.pictures.length < 2;
    $('history').replaceChildren(...this.pictures.map((picture) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      const image = document.createElement('img');
      image.src = picture.url;
      image.alt = '';
      button.append(image);
      button.addEventListener('click', () => this.show(picture));
      item.append(button);
      return item;
    }));
  }

  mark() {
    [...$('history').querySelectorAll('button')].forEach((button, index) => {
      button.setAttribute('aria-current', String(this.pictures[index] === this.shown));
    });
  }

  useScale(scale) {
    this.scale = scale;
    for (const button of $('scales').children) {
      button.setAttribute('aria-pressed', String(button.dataset.scale === scale));
    }
    const image = $('picture');
    $('frame').classList.toggle('is-scaled', scale !== 'fit');
    image.style.width = scale === 'fit' || !this.shown ? '' : `${this.shown.width * Number(scale)}px`;
  }

  async copy() {
    if (!this.shown) return;
    const isCopied = await copyText(this.shown.parameters);
    const button = $('copy');
    button.textContent = t(isCopied ? 'copied' : 'error.copy');
    $('live').textContent = button.textContent;
    setTimeout(() => { button.textContent = t('copy'); }, isCopied ? 1500 : 5000);
  }
}

/** Copies text; the clipboard interface exists on secure addresses only. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'visually-hidden';
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    return isCopied;
  }
}
