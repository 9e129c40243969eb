// Part of Inkstone. Licence: see LICENSE.

import { address, fetchBlob, showPicture } from './api.js';
import { Compare } from './compare.js';
import { copyText } from './clipboard.js';
import { duration, t } from './language.js';
import { textOf } from './pictures.js';
import { Sheet } from './sheet.js';

const $ = (id) => document.getElementById(id);
const stripLength = 24;

/** The stage: previews, the result with its tools, and earlier results. */
export class Stage {
  /** `actions` are `reuse(picture)` and `start(picture)`. */
  constructor(actions) {
    this.pictures = [];
    /** The images of the request that is shown. */
    this.group = [];
    this.shown = null;
    this.scale = 'fit';
    this.compare = new Compare();
    this.sheet = new Sheet((index) => this.group[index] && this.show(this.group[index]));
    $('copy').addEventListener('click', () => this.copy());
    $('download').addEventListener('click', (event) => this.download(event));
    $('reuse').addEventListener('click', () => this.shown && actions.reuse(this.shown));
    $('start').addEventListener('click', () => this.shown && actions.start(this.shown));
    $('compare').addEventListener('click', () => this.toggleCompare());
    $('back').addEventListener('click', () => this.showSheet());
    for (const button of $('scales').children) {
      button.addEventListener('click', () => this.useScale(button.dataset.scale));
    }
  }

  /** Sets the aspect ratio of the empty frame. */
  shape({ width, height }) {
    if (this.shown || this.isRunning || !(width > 0 && height > 0)) return;
    this.frame(width, height);
  }

  frame(width, height) {
    $('frame').style.setProperty('--ratio', `${width / height}`);
  }

  /** Clears the stage for a new request. */
  begin({ width, height, seed, count }) {
    this.isRunning = true;
    this.shown = null;
    this.group = [];
    this.compare.end();
    this.frame(width, height);
    this.useScale('fit');
    this.sheet.begin(seed, count);
    this.look(count > 1 ? 'sheet' : 'wait');
    $('picture').removeAttribute('src');
    this.mark();
  }

  /** The content of the frame: `empty`, `wait`, `picture` or `sheet`. */
  look(name) {
    $('empty').hidden = name !== 'empty';
    $('wait').hidden = name !== 'wait';
    $('picture').hidden = name !== 'picture';
    $('sheet').hidden = name !== 'sheet';
    const hasResult = name === 'picture' && this.shown !== null;
    $('result').hidden = !hasResult;
    $('sheet-tools').hidden = name !== 'sheet' || this.group.length < this.sheet.seeds.length;
    $('back').hidden = !hasResult || this.group.length < 2;
  }

  /** Shows a preview, which is small and therefore blurred, less with every step. */
  async preview(index, url, share) {
    this.sheet.preview(index, url);
    if (this.sheet.seeds.length > 1 || this.shown) return;
    const picture = $('picture');
    picture.dataset.path = '';
    picture.src = url;
    await picture.decode().catch(() => {});
    if (picture.src !== url) return;
    const pixel = $('frame').clientWidth / Math.max(1, picture.naturalWidth);
    picture.style.setProperty('--haze', `${(0.55 - 0.3 * share) * pixel}px`);
    picture.alt = t('preview.alt');
    picture.className = 'is-preview';
    this.look('picture');
  }

  /** Adds a finished image of the running request. */
  add(picture) {
    this.group.push(picture);
    const place = ({ seed }) => this.sheet.seeds.indexOf(seed);
    this.group.sort((a, b) => a.job.id === b.job.id ? place(a) - place(b) : 0);
    this.sheet.picture(place(picture), picture);
    this.remember([picture]);
    if (this.sheet.seeds.length === 1) this.show(picture);
  }

  /** Shows the last result again, or the empty stage, after a request without an image. */
  end() {
    this.isRunning = false;
    if (this.group.length > 1) this.look('sheet');
    else if (!this.shown && this.pictures.length > 0) this.show(this.pictures[0]);
    else if (!this.shown) this.look('empty');
  }

  /** Inserts images at the start of the strip. */
  remember(pictures, atEnd = false) {
    const ids = new Set(pictures.map(({ id }) => id));
    const others = this.pictures.filter(({ id }) => !ids.has(id));
    this.pictures = (atEnd ? [...others, ...pictures] : [...pictures, ...others]).slice(0, stripLength);
    this.list();
  }

  /** Removes a job and its images. */
  forget(job) {
    this.pictures = this.pictures.filter((picture) => picture.job.id !== job);
    this.list();
    if (this.shown?.job.id !== job) return;
    this.shown = null;
    this.compare.end();
    this.end();
  }

  /** Shows the images of a job: a single one, or all in a sheet. */
  open(pictures) {
    if (this.isRunning || pictures.length === 0) return;
    this.group = pictures;
    this.sheet.begin(pictures[0].seed, pictures.length);
    pictures.forEach((picture, index) => this.sheet.picture(index, picture));
    if (pictures.length === 1) this.show(pictures[0]);
    else this.showSheet();
  }

  showSheet() {
    this.shown = null;
    this.compare.end();
    const [{ width, height }] = this.group;
    this.frame(width, height);
    this.useScale('fit');
    this.look('sheet');
    this.mark();
    this.sheet.word();
  }

  async show(picture) {
    if (this.compare.isOn && picture !== this.shown) {
      await this.compare.use(picture, this.shown);
      return;
    }
    if (!this.group.includes(picture)) this.group = [picture];
    this.shown = picture;
    const image = $('picture');
    image.alt = picture.job.prompt;
    image.className = '';
    this.frame(picture.width, picture.height);
    $('download').href = address(picture.path);
    $('download').download = `inkstone-${picture.seed}.png`;
    $('truncated').hidden = !picture.isTruncated;
    this.look('picture');
    this.useScale(this.scale);
    this.word();
    this.mark();
    await showPicture(image, picture.path);
  }

  toggleCompare() {
    if (this.compare.isOn) {
      this.compare.end();
      return;
    }
    const at = this.pictures.findIndex(({ id }) => id === this.shown.id);
    const other = this.pictures[at + 1] ?? this.pictures[at - 1];
    if (other) this.compare.use(other, this.shown);
  }

  /** Translates the texts that depend on the language. */
  word() {
    const picture = this.shown;
    if (picture) {
      const { job } = picture;
      const key = job.guidance_scale > 0 ? 'facts.guided' : 'facts';
      $('facts').textContent = t(key, {
        width: picture.width, height: picture.height, steps: job.steps,
        guidance: job.guidance_scale, seed: picture.seed, time: duration(picture.seconds),
      });
    }
    this.compare.word();
    this.sheet.word();
    [...$('history').querySelectorAll('button')].forEach((button, index) => {
      button.setAttribute('aria-label', t('history.item', { seed: this.pictures[index].seed }));
    });
  }

  list() {
    $('history-box').hidden = this.pictures.length < 2;
    $('compare').hidden = this.pictures.length < 2;
    $('history').replaceChildren(...this.pictures.map((picture) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      const image = document.createElement('img');
      image.alt = '';
      image.loading = 'lazy';
      showPicture(image, picture.thumbnail).catch(() => {});
      button.append(image);
      button.addEventListener('click', () => { if (!this.isRunning) this.show(picture); });
      item.append(button);
      return item;
    }));
    this.word();
    this.mark();
  }

  mark() {
    document.dispatchEvent(new CustomEvent('inkstone:shown', { detail: this.shown }));
    [...$('history').querySelectorAll('button')].forEach((button, index) => {
      button.setAttribute('aria-current', String(this.pictures[index].id === this.shown?.id));
    });
  }

  useScale(scale) {
    this.scale = scale;
    for (const button of $('scales').children) {
      button.setAttribute('aria-pressed', String(button.dataset.scale === scale));
    }
    const isScaled = scale !== 'fit' && this.shown !== null;
    $('frame').classList.toggle('is-scaled', isScaled);
    for (const id of ['picture', 'other']) {
      $(id).style.width = isScaled ? `${this.shown.width * Number(scale)}px` : '';
    }
  }

  /** A link cannot send a key: with a key, the page fetches the file. */
  async download(event) {
    if ($('picture').src.startsWith('http')) return;
    event.preventDefault();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await fetchBlob(this.shown.path));
    link.download = $('download').download;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  async copy() {
    if (!this.shown) return;
    const isCopied = await textOf(this.shown).then(copyText).catch(() => false);
    const button = $('copy');
    button.textContent = t(isCopied ? 'copied' : 'error.copy');
    $('live').textContent = button.textContent;
    setTimeout(() => { button.textContent = t('copy'); }, isCopied ? 1500 : 5000);
  }
}
