// Part of Inkstone. Licence: see LICENSE.

import { address } from './api.js';

const $ = (id) => document.getElementById(id);
const names = ['create', 'gallery', 'status', 'benchmarks'];

/** Resolves when the style sheet of the other views is loaded. */
let style = null;

function loadStyle() {
  style ??= new Promise((resume) => {
    const link = document.createElement('link');
    Object.assign(link, { rel: 'stylesheet', href: address('assets/views.css') });
    link.addEventListener('load', resume);
    link.addEventListener('error', resume);
    document.head.append(link);
  });
  return style;
}

/** The views of the page; all but the first are loaded on demand. */
export class Views {
  /** `handlers` are `open`, `removed`, `lost` and `fail` of the views, `create(values)` and `picture(job, index)` of addresses. */
  constructor(handlers) {
    this.handlers = handlers;
    this.runs = [];
    this.parts = {};
    this.places = {};
    this.current = 'create';
  }

  start() {
    addEventListener('hashchange', () => this.followAddress());
    this.followAddress();
  }

  /** `#create?prompt=…` fills the form, `#picture/JOB/0` shows a picture, all else is the name of a view. */
  followAddress() {
    const [path, query] = location.hash.slice(1).split('?');
    const [name, job, index] = path.split('/');
    this.use(names.includes(name) ? name : 'create');
    if (name === 'picture' && job) this.handlers.picture(job, index);
    if (name === 'create' && query) this.handlers.create(new URLSearchParams(query));
  }

  /** Shows a view. */
  show(name) {
    if (this.current !== name) location.hash = name;
  }

  async use(name) {
    // Each view has a place of its own to which it was scrolled.
    this.places[this.current] = scrollY;
    this.current = name;
    if (name !== 'create') await loadStyle();
    if (this.current !== name) return;
    for (const other of names) {
      $(other).hidden = other !== name;
      const link = $(`to-${other}`);
      if (other === name) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    scrollTo(0, this.places[name] ?? 0);
    if (name !== 'status') this.parts.status?.stop();
    if (name === 'gallery') (await this.part('gallery', './gallery.js', 'Gallery')).load();
    if (name === 'status') (await this.part('status', './status.js', 'Status')).start();
    if (name === 'benchmarks') (await this.part('benchmarks', './benchmarks.js', 'Benchmarks')).use(this.runs);
  }

  async part(name, file, type) {
    this.parts[name] ??= new (await import(file))[type](this.handlers);
    return this.parts[name];
  }

  /** Results of load tests, if there are any. */
  useRuns(runs) {
    this.runs = runs;
    $('to-benchmarks').hidden = runs.length === 0;
    this.parts.benchmarks?.use(runs);
    if (this.current === 'benchmarks') this.use('benchmarks');
  }

  /** Something was drawn. */
  refresh() {
    if (this.current === 'gallery') this.parts.gallery?.load();
  }

  word() {
    for (const part of Object.values(this.parts)) part.word();
  }
}
