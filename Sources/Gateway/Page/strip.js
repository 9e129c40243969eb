// Part of Inkstone. Licence: see LICENSE.

import { showPicture } from './api.js';
import { t } from './language.js';

const $ = (id) => document.getElementById(id);

/** The latest pictures, and in front of them a tile for each job that runs. */
export class Strip {
  /** `open(picture)` and `watch(job)` are called for what is pressed. */
  constructor({ open, watch }) {
    Object.assign(this, { open, watch });
    /** Items by the id of their picture or job: they stay the same nodes, which may have the focus. */
    this.items = new Map();
    this.jobs = [];
    this.pictures = [];
    /** Pictures that were made while the page was not looked at. */
    this.fresh = new Set();
  }

  /** Shows jobs, `{ id, prompt, share, preview }`, and pictures; `current` is the id of the one on the stage. */
  show(jobs, pictures, current) {
    this.jobs = jobs;
    this.pictures = pictures;
    const wanted = [...jobs, ...pictures];
    const ids = new Set(wanted.map(({ id }) => id));
    for (const [id, item] of this.items) {
      if (ids.has(id)) continue;
      item.remove();
      this.items.delete(id);
    }
    const box = $('history');
    wanted.forEach(({ id }, index) => {
      const isJob = index < jobs.length;
      if (!this.items.has(id)) this.items.set(id, isJob ? this.jobItem(id) : this.pictureItem(wanted[index]));
      const item = this.items.get(id);
      if (box.children[index] !== item) box.insertBefore(item, box.children[index] ?? null);
    });
    $('history-box').hidden = wanted.length < (jobs.length > 0 ? 1 : 2);
    this.word();
    this.mark(current);
  }

  jobItem(id) {
    const item = this.item(() => this.watch(this.jobs.find((job) => job.id === id)));
    item.firstChild.classList.add('job-tile');
    item.firstChild.append(document.createElement('span'));
    return item;
  }

  pictureItem(picture) {
    const item = this.item(() => {
      this.fresh.delete(picture.id);
      this.open(picture);
    });
    const image = item.querySelector('img');
    image.loading = 'lazy';
    showPicture(image, picture.thumbnail).catch(() => {});
    return item;
  }

  item(press) {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    const image = document.createElement('img');
    image.alt = '';
    button.append(image);
    button.addEventListener('click', press);
    item.append(button);
    return item;
  }

  /** Says how far a job is. */
  progress(job) {
    const button = this.items.get(job.id)?.firstChild;
    if (!button) return;
    const percent = `${Math.round((job.share ?? 0) * 100)} %`;
    button.lastChild.textContent = job.share === null ? '…' : percent;
    button.style.setProperty('--share', job.share ?? 0);
    button.setAttribute('aria-label', t('history.running', { prompt: job.prompt, percent }));
    if (job.preview && button.firstChild.src !== job.preview) button.firstChild.src = job.preview;
  }

  word() {
    for (const job of this.jobs) this.progress(job);
    for (const { id, seed, job } of this.pictures) {
      this.items.get(id).firstChild.setAttribute('aria-label', t('history.item', { seed, prompt: job.prompt }));
    }
  }

  mark(current) {
    for (const [id, item] of this.items) {
      item.firstChild.setAttribute('aria-current', String(id === current));
      item.classList.toggle('is-fresh', this.fresh.has(id));
    }
  }
}
