// Part of Inkstone. Licence: see LICENSE.

import { fetchJobs, removeJob, showPicture } from './api.js';
import { dateTime, t } from './language.js';
import { picturesOf } from './pictures.js';

const $ = (id) => document.getElementById(id);
const pageLength = 36;
const restMilliseconds = 250;

/** All jobs with images in the server's store: to search, open and delete. */
export class Gallery {
  /** `open(pictures)` shows a job on the stage, `removed(id)` is called after a deletion. */
  constructor({ open, removed, fail }) {
    Object.assign(this, { open, removed, fail });
    this.jobs = [];
    this.visit = 0;
    let timer = 0;
    $('search').addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.load(), restMilliseconds);
    });
    $('more').addEventListener('click', () => this.load(true));
  }

  async load(isMore = false) {
    this.visit += 1;
    const { visit } = this;
    const query = { state: 'succeeded', limit: pageLength };
    const text = $('search').value.trim();
    if (text) query.q = text;
    if (isMore) query.before = this.jobs.at(-1).id;
    try {
      const found = await fetchJobs(query);
      // A newer search has begun.
      if (visit !== this.visit) return;
      const jobs = found.data.filter((job) => job.images.length > 0);
      $('more').hidden = !found.has_more;
      // Tiles of the same jobs stay as they are: one may have the focus, or wait for its second press.
      if (!isMore && this.shows(jobs)) return;
      this.jobs = isMore ? [...this.jobs, ...jobs] : jobs;
      this.list(isMore ? this.jobs.length - jobs.length : 0);
    } catch (error) {
      this.fail(error);
    }
  }

  shows(jobs) {
    return jobs.length > 0 && jobs.length === this.jobs.length
      && jobs.every(({ id }, index) => id === this.jobs[index].id);
  }

  list(from = 0) {
    if (from === 0) $('tiles').replaceChildren();
    $('tiles').append(...this.jobs.slice(from).map((job) => this.tile(job)));
    this.tellIfEmpty();
  }

  tellIfEmpty() {
    $('gallery-empty').hidden = this.jobs.length > 0;
    $('gallery-empty').textContent = t($('search').value.trim() ? 'gallery.none' : 'gallery.empty');
  }

  tile(job) {
    const item = document.createElement('li');
    const pictures = picturesOf(job);
    const open = document.createElement('button');
    open.type = 'button';
    open.className = 'tile';
    const image = document.createElement('img');
    image.alt = '';
    image.loading = 'lazy';
    showPicture(image, pictures[0].thumbnail).catch(() => {});
    const caption = document.createElement('span');
    caption.textContent = job.prompt;
    open.append(image, caption);
    if (pictures.length > 1) {
      const badge = document.createElement('b');
      badge.textContent = pictures.length;
      badge.setAttribute('aria-label', t('gallery.count', { count: pictures.length }));
      open.append(badge);
    }
    open.title = `${job.prompt}\n${dateTime(job.created)}`;
    open.addEventListener('click', () => this.open(pictures));
    item.append(open, this.deleteButton(job, item));
    return item;
  }

  /** Deletes at the second press. */
  deleteButton(job, item) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'delete';
    const rest = () => {
      button.textContent = '×';
      button.classList.remove('is-sure');
      button.setAttribute('aria-label', t('gallery.delete', { prompt: job.prompt }));
    };
    rest();
    button.addEventListener('blur', rest);
    button.addEventListener('click', async () => {
      if (!button.classList.contains('is-sure')) {
        button.classList.add('is-sure');
        button.textContent = t('gallery.sure');
        button.setAttribute('aria-label', button.textContent);
        return;
      }
      try {
        await removeJob(job.id);
        const next = item.nextElementSibling ?? item.previousElementSibling;
        item.remove();
        this.jobs = this.jobs.filter(({ id }) => id !== job.id);
        this.tellIfEmpty();
        this.removed(job.id);
        (next?.querySelector('.tile') ?? $('search')).focus();
      } catch (error) {
        this.fail(error);
      }
    });
    return button;
  }

  word() {
    this.list();
  }
}
