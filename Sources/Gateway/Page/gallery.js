// Part of Inkstone. Licence: see LICENSE.

import { fetchBlob, fetchJobs, fetchLoras, fetchModels, removeJob, removeJobAtEnd, showPicture } from './api.js';
import { star } from './actions.js';
import { button, loadStyle, make, saveAs } from './dom.js';
import { language, t, useTexts } from './language.js';
import { nameOf, picturesOf } from './pictures.js';

const $ = (id) => document.getElementById(id);
const pageLength = 36;
const restMilliseconds = 250;
/** Time in which a deletion can be taken back. */
const undoMilliseconds = 8000;
const daySeconds = 86_400;

await Promise.all([useTexts('more'), loadStyle('gallery.css')]);

/** All jobs with images in the server's store: to search, filter, open, keep, download and delete. */
export class Gallery {
  /** `open(pictures)` shows a job on the stage, `removed(id)` is called after a deletion. */
  constructor({ open, removed, fail }) {
    Object.assign(this, { open, removed, fail });
    this.jobs = [];
    this.visit = 0;
    /** Ids of selected jobs. */
    this.selected = new Set();
    /** Jobs that are deleted unless the user takes it back: ids and a timer. */
    this.leaving = null;
    /** Parts of the list, whose tiles exist only near the window. */
    this.chunks = [];
    this.watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.chunks.find(({ box }) => box === target)?.use(isIntersecting);
    }, { rootMargin: '150% 0px' });
    this.addTools();
    let timer = 0;
    $('search').addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.load(), restMilliseconds);
    });
    $('more').addEventListener('click', () => this.load(true));
    $('tiles').addEventListener('keydown', (event) => this.press(event));
    addEventListener('pagehide', () => this.finishRemoval(true));
    document.addEventListener('inkstone:starred', ({ detail }) => this.noteStar(detail));
  }

  addTools() {
    const change = () => this.load();
    const choice = (id, label, ...options) => make('select', { id, label, on: { change } }, ...options);
    this.stars = make('button', {
      type: 'button', id: 'only-stars', className: 'toggle', i18n: 'gallery.stars', attributes: { 'aria-pressed': 'false' },
      on: { click: () => { this.stars.setAttribute('aria-pressed', String(!this.onlyStars)); this.load(); } },
    });
    this.model = choice('only-model', 'gallery.model', make('option', { value: '', i18n: 'gallery.model.all' }));
    this.lora = choice('only-lora', 'gallery.lora', make('option', { value: '', i18n: 'gallery.lora.all' }));
    this.day = make('input', { id: 'only-day', type: 'date', label: 'gallery.day', on: { change } });
    this.choosing = make('button', {
      type: 'button', id: 'select', className: 'toggle', i18n: 'gallery.select', attributes: { 'aria-pressed': 'false' },
      on: { click: () => this.select(!this.isSelecting) },
    });
    this.bar = make('div', { className: 'selection', id: 'selection', hidden: true },
      this.count = make('span', { attributes: { role: 'status' } }),
      button('secondary', 'gallery.selectAll', () => this.selectAll(), { id: 'select-all' }),
      this.zipButton = button('secondary', 'gallery.zip', () => this.download(), { id: 'zip' }),
      this.starButton = button('secondary', 'action.star', () => this.starSelected(), { id: 'star-selected' }),
      this.deleteButton = button('secondary', 'gallery.deleteSelected', () => this.remove([...this.selected]), { id: 'delete-selected' }));
    this.toast = make('div', { className: 'toast', id: 'undo', hidden: true, attributes: { role: 'status' } },
      this.toastText = make('span'), button('quiet', 'gallery.undo', () => this.undo(), { id: 'undo-delete' }));
    $('gallery-tools').prepend(make('div', { className: 'filters' }, this.stars, this.model, this.lora, this.day, this.choosing));
    $('gallery-tools').append(this.bar);
    $('gallery').append(this.toast);
    this.fill();
  }

  get onlyStars() { return this.stars.getAttribute('aria-pressed') === 'true'; }

  get isSelecting() { return this.choosing.getAttribute('aria-pressed') === 'true'; }

  /** Offers the models and LoRA files of the server; a choice of one is none. */
  async fill() {
    const [models, { loras }] = await Promise.all([fetchModels().catch(() => []), fetchLoras()]);
    const add = (select, rows) => select.append(...rows.map(([value, textContent]) => make('option', { value, textContent })));
    add(this.model, models.map(({ id, name }) => [id, name]));
    add(this.lora, loras.map(({ name }) => [name, name]));
    this.model.hidden = models.length < 2;
    this.lora.hidden = loras.length === 0;
  }

  get query() {
    const query = { state: 'succeeded', limit: pageLength };
    const text = $('search').value.trim();
    if (text) query.q = text;
    if (this.onlyStars) query.starred = true;
    if (this.model.value) query.model = this.model.value;
    if (this.lora.value) query.lora = this.lora.value;
    if (this.day.value) {
      const day = new Date(`${this.day.value}T00:00`).getTime() / 1000;
      Object.assign(query, { since: day, until: day + daySeconds });
    }
    return query;
  }

  get isFiltered() {
    const { state, limit, ...filters } = this.query;
    return Object.keys(filters).length > 0;
  }

  async load(isMore = false) {
    this.visit += 1;
    const { visit } = this;
    const query = this.query;
    if (isMore) query.before = this.jobs.at(-1).id;
    const key = JSON.stringify(query);
    // After a visit elsewhere, as many as were shown.
    if (!isMore && key === this.lastKey) query.limit = Math.min(200, Math.max(pageLength, this.jobs.length));
    try {
      const found = await fetchJobs(query);
      // A newer search has begun.
      if (visit !== this.visit) return;
      const leaving = this.leaving?.ids ?? [];
      const jobs = found.data.filter((job) => job.images.length > 0 && !leaving.includes(job.id));
      const isSame = !isMore && key === this.lastKey && this.startsWith(jobs);
      if (!isMore) this.lastKey = key;
      // Tiles of the same jobs stay as they are: one may have the focus.
      if (isSame) return;
      $('more').hidden = !found.has_more;
      this.jobs = isMore ? [...this.jobs, ...jobs] : jobs;
      this.list(isMore ? this.jobs.length - jobs.length : 0);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Whether the list begins with these jobs. */
  startsWith(jobs) {
    return jobs.length > 0 && jobs.every(({ id }, index) => id === this.jobs[index]?.id);
  }

  list(from = 0) {
    if (from === 0) {
      for (const { box } of this.chunks) this.watcher.unobserve(box);
      this.chunks = [];
      $('tiles').replaceChildren();
    }
    for (let start = from; start < this.jobs.length; start += pageLength) {
      const jobs = this.jobs.slice(start, start + pageLength);
      const chunk = new Chunk(jobs, (job, before) => this.items(job, before), this.jobs[start - 1]);
      this.chunks.push(chunk);
      $('tiles').append(chunk.box);
      this.watcher.observe(chunk.box);
    }
    this.tellIfEmpty();
    this.showSelection();
  }

  tellIfEmpty() {
    $('gallery-empty').hidden = this.jobs.length > 0;
    $('gallery-empty').textContent = t(this.isFiltered ? 'gallery.none' : 'gallery.empty', { text: $('search').value.trim() });
  }

  /** The tile of a job, after a heading where its day begins. */
  items(job, before) {
    const day = (one) => new Date(one.created * 1000).toDateString();
    const tile = this.tile(job);
    if (before && day(before) === day(job)) return [tile];
    const text = new Intl.DateTimeFormat(language, { dateStyle: 'full' }).format(job.created * 1000);
    return [make('li', { className: 'day' }, make('h3', { textContent: text })), tile];
  }

  tile(job) {
    const pictures = picturesOf(job);
    const image = make('img', { alt: '', loading: 'lazy', decoding: 'async' });
    showPicture(image, pictures[0].thumbnail).catch(() => {});
    const open = make('button', { type: 'button', className: 'tile', title: job.prompt, on: { click: () => this.use(job, pictures) } },
      image, make('span', { textContent: job.prompt }));
    if (pictures.length > 1) {
      open.append(make('b', { textContent: pictures.length, attributes: { 'aria-label': t('gallery.count', { count: pictures.length }) } }));
    }
    const item = make('li', { data: { job: job.id } }, open, this.starOf(job, pictures));
    const remove = make('button', {
      type: 'button', className: 'delete', textContent: '×', attributes: { 'aria-label': t('gallery.delete', { prompt: job.prompt }) },
      on: { click: () => this.remove([job.id]) },
    });
    item.append(remove);
    this.mark(item, job.id);
    return item;
  }

  /** The star of a tile is that of its first picture, or of all where any has one. */
  starOf(job, pictures) {
    const isOn = pictures.some(({ isStarred }) => isStarred);
    return make('button', {
      type: 'button', className: 'star', textContent: isOn ? '★' : '☆',
      attributes: { 'aria-pressed': String(isOn), 'aria-label': t('gallery.star', { prompt: job.prompt }) },
      on: {
        click: async () => {
          const changed = isOn ? pictures.filter(({ isStarred }) => isStarred) : pictures.slice(0, 1);
          try {
            for (const picture of changed) await star(picture, !isOn);
          } catch (error) {
            this.fail(error);
          }
        },
      },
    });
  }

  /** A star was given or taken, here or on the stage. */
  noteStar(picture) {
    const job = this.jobs.find(({ id }) => id === picture.job.id);
    const image = job?.images.find(({ index }) => `${job.id}/${index}` === picture.id);
    if (!image) return;
    image.starred = picture.isStarred;
    const old = this.item(job.id)?.querySelector('.star');
    if (!old) return;
    const hadFocus = old === document.activeElement;
    const next = this.starOf(job, picturesOf(job));
    old.replaceWith(next);
    if (hadFocus) next.focus();
  }

  item(id) { return $('tiles').querySelector(`[data-job="${CSS.escape(id)}"]`); }

  use(job, pictures) {
    if (this.isSelecting) this.toggle(job.id);
    else this.open(pictures);
  }

  /** Arrow keys go to the neighbours, Delete removes, S gives a star, Space selects. */
  press(event) {
    const item = event.target.closest('li[data-job]');
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const tiles = [...$('tiles').querySelectorAll('.tile')];
    const tile = item.querySelector('.tile');
    const at = tiles.indexOf(tile);
    const across = tiles.findIndex((one, index) => index > at && one.offsetLeft <= tile.offsetLeft && one.offsetTop > tile.offsetTop) - at;
    const go = (change) => tiles[at + change]?.focus();
    const work = {
      ArrowLeft: () => go(-1), ArrowRight: () => go(1),
      ArrowDown: () => go(across > 0 ? across : tiles.length - 1 - at), ArrowUp: () => go(-Math.max(1, across > 0 ? across : 1)),
      Delete: () => this.remove([item.dataset.job]), s: () => item.querySelector('.star').click(),
    }[event.key];
    if (!work) return;
    event.preventDefault();
    work();
  }

  // MARK: Selection

  select(isOn) {
    this.choosing.setAttribute('aria-pressed', String(isOn));
    if (!isOn) this.selected.clear();
    this.showSelection();
  }

  toggle(id) {
    if (!this.selected.delete(id)) this.selected.add(id);
    this.showSelection();
  }

  selectAll() {
    const isAll = this.selected.size === this.jobs.length;
    this.selected = new Set(isAll ? [] : this.jobs.map(({ id }) => id));
    this.showSelection();
  }

  mark(item, id) {
    if (this.isSelecting) item.querySelector('.tile').setAttribute('aria-pressed', String(this.selected.has(id)));
    else item.querySelector('.tile').removeAttribute('aria-pressed');
  }

  showSelection() {
    this.bar.hidden = !this.isSelecting;
    $('tiles').classList.toggle('is-selecting', this.isSelecting);
    for (const item of $('tiles').querySelectorAll('li[data-job]')) this.mark(item, item.dataset.job);
    const pictures = this.picturesOfSelected.length;
    this.count.textContent = t('gallery.selected', { count: pictures });
    for (const item of [this.zipButton, this.starButton, this.deleteButton]) item.disabled = pictures === 0;
  }

  get picturesOfSelected() {
    return this.jobs.filter(({ id }) => this.selected.has(id)).flatMap(picturesOf);
  }

  async download() {
    const pictures = this.picturesOfSelected;
    this.zipButton.disabled = true;
    try {
      const { zip } = await import('./zip.js');
      const files = [];
      for (const picture of pictures) {
        files.push({ name: nameOf(picture), blob: await fetchBlob(picture.path), date: new Date(picture.job.created * 1000) });
        this.count.textContent = t('gallery.zipping', { done: files.length, count: pictures.length });
      }
      saveAs(await zip(files), `inkstone-${new Date().toISOString().slice(0, 10)}.zip`);
    } catch (error) {
      this.fail(error);
    } finally {
      this.showSelection();
    }
  }

  async starSelected() {
    const pictures = this.jobs.filter(({ id }) => this.selected.has(id)).map((job) => picturesOf(job)[0]);
    try {
      for (const picture of pictures) if (!picture.isStarred) await star(picture, true);
      this.select(false);
    } catch (error) {
      this.fail(error);
    }
  }

  // MARK: Deletion

  /** Takes jobs out of the list, and deletes them when the time for taking it back is over. */
  remove(ids) {
    this.finishRemoval();
    const jobs = this.jobs.filter(({ id }) => ids.includes(id));
    if (jobs.length === 0) return;
    const items = [...$('tiles').querySelectorAll('li[data-job]')];
    const at = items.findIndex((item) => ids.includes(item.dataset.job));
    const before = this.jobs;
    this.jobs = this.jobs.filter(({ id }) => !ids.includes(id));
    for (const id of ids) this.selected.delete(id);
    this.leaving = { ids, before, timer: setTimeout(() => this.finishRemoval(), undoMilliseconds) };
    const count = jobs.reduce((sum, job) => sum + job.images.length, 0);
    this.toastText.textContent = t('gallery.deleted', { count });
    this.toast.hidden = false;
    this.list();
    const rest = [...$('tiles').querySelectorAll('.tile')];
    (rest[Math.min(at, rest.length - 1)] ?? $('search')).focus({ preventScroll: true });
  }

  undo() {
    if (!this.leaving) return;
    clearTimeout(this.leaving.timer);
    const [first] = this.leaving.ids;
    this.jobs = this.leaving.before;
    this.leaving = null;
    this.toast.hidden = true;
    this.list();
    this.item(first)?.querySelector('.tile').focus();
  }

  /** Deletes what is to be deleted; at the page's end by requests that outlive it. */
  async finishRemoval(isEnd = false) {
    if (!this.leaving) return;
    const { ids, timer } = this.leaving;
    clearTimeout(timer);
    this.leaving = null;
    this.toast.hidden = true;
    for (const id of ids) {
      if (isEnd) {
        removeJobAtEnd(id);
        continue;
      }
      try {
        await removeJob(id);
        this.removed(id);
        document.dispatchEvent(new CustomEvent('inkstone:removed', { detail: id }));
      } catch (error) {
        this.fail(error);
        this.lastKey = null;
        this.load();
      }
    }
  }

  word() {
    this.list();
  }
}

/** Some tiles of the gallery, which leave the page while they are far from the window. */
class Chunk {
  /** `makeItems(job, before)` returns a job's elements; `before` is the job before it. */
  constructor(jobs, makeItems, before) {
    Object.assign(this, { jobs, makeItems, before });
    this.box = make('li', { className: 'chunk' });
    this.use(true);
  }

  use(isNear) {
    if (isNear === this.isFull) return;
    this.isFull = isNear;
    if (!isNear) {
      // Its place stays.
      this.box.style.height = `${this.box.offsetHeight}px`;
      this.box.replaceChildren();
      return;
    }
    this.box.style.height = '';
    this.box.replaceChildren(make('ol', { className: 'tile-list' },
      ...this.jobs.flatMap((job, index) => this.makeItems(job, this.jobs[index - 1] ?? this.before))));
  }
}
