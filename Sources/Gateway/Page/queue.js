// Part of Inkstone. Licence: see LICENSE.

import { fetchJobs } from './api.js';
import { duration, t } from './language.js';

const $ = (id) => document.getElementById(id);
const busyMilliseconds = 1500;
const idleMilliseconds = 4000;
const sureMilliseconds = 4000;
const longest = 100;

/** The work of a job, in steps of a pixel. */
function costOf({ size, width, height, steps, evaluations, n, count }) {
  const pixels = size ? size.split('x').reduce((area, side) => area * Number(side), 1) : width * height;
  return pixels * (evaluations ?? steps) * (n ?? count ?? 1);
}

/** Seconds for a unit of work, from a job that runs; null before its first steps. */
function paceOf(jobs) {
  const job = jobs.find(({ isWaiting, secondsLeft, share }) => !isWaiting && secondsLeft > 0 && share > 0 && share < 1);
  return job ? job.secondsLeft / ((1 - job.share) * job.cost) : null;
}

/**
 * The jobs of the server that are not done, in their order: those of this tab, of others and of other users.
 *
 * The server's list is the truth that all tabs agree on; what this tab follows is newer for its own jobs.
 */
export class Queue {
  /** `runner` follows jobs, `cancel(job)` and `watch(job)` are called for rows, `changed(jobs)` for each news. */
  constructor(runner, { cancel, watch, changed }) {
    Object.assign(this, { runner, cancel, watch, changed });
    this.listed = [];
    this.rows = new Map();
    this.timer = 0;
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.poll(); });
  }

  /** Asks the server now, and then again and again. */
  async poll() {
    clearTimeout(this.timer);
    this.isStarted = true;
    const { visit = 0 } = this;
    this.visit = visit + 1;
    try {
      const { data } = await fetchJobs({ state: 'queued,running', limit: longest });
      if (this.visit === visit + 1) this.listed = data;
    } catch {
      // The connection says so itself.
    }
    if (this.visit !== visit + 1) return;
    this.show();
    this.plan();
  }

  plan() {
    clearTimeout(this.timer);
    if (!this.isStarted) return;
    const isBusy = this.listed.length > 0 || this.runner.runs.length > 0;
    this.timer = setTimeout(() => {
      if (document.hidden && !this.runner.isBusy) this.plan();
      else this.poll();
    }, isBusy ? busyMilliseconds : idleMilliseconds);
  }

  /** All unfinished jobs: what runs first, then what waits. */
  get jobs() {
    const ended = this.runner.ended;
    const others = this.listed.filter(({ id }) => !this.runner.find(id) && !ended.has(id)).map((job) => this.fromList(job));
    const listed = new Map(this.listed.map((job) => [job.id, job]));
    const own = this.runner.runs.map((run) => this.fromRun(run, listed.get(run.id)));
    return [...others, ...own].sort((a, b) => a.isWaiting - b.isWaiting || a.place - b.place || a.created - b.created);
  }

  fromList(job) {
    const isQueued = job.state === 'queued';
    const { place = isQueued ? longest : 0, steps_done: done, steps, seconds_left: left } = job.progress ?? {};
    const isWaiting = isQueued || place > 0;
    return {
      id: job.id, job, run: null, prompt: job.prompt, isWaiting, place, preview: null,
      cost: costOf(job), created: job.created, share: isWaiting ? null : Math.min(1, done / steps || 0), secondsLeft: left ?? null,
    };
  }

  fromRun(run, job) {
    const heard = job && this.fromList(job);
    const isRunning = run.state === 'running' || heard?.isWaiting === false;
    const share = run.progress.first ? run.progress.share : heard?.share ?? 0;
    return {
      id: run.id ?? run.key, job: run.job ?? null, run, prompt: run.request.prompt, isWaiting: !isRunning,
      cost: costOf(run.job ?? run.request),
      place: isRunning ? 0 : heard?.place ?? run.position ?? longest, created: run.job?.created ?? Infinity,
      preview: run.previews.findLast(Boolean) ?? null, share: isRunning ? share : null,
      secondsLeft: run.progress.secondsLeft ?? heard?.secondsLeft ?? null,
    };
  }

  /** Shows the list, keeping the rows that are there. */
  show() {
    const { jobs } = this;
    this.changed(jobs);
    $('queue').hidden = jobs.length === 0 && !$('queue').open;
    $('queue-empty').hidden = jobs.length > 0;
    $('queue-summary').textContent = jobs.length > 0 ? t('queue.count', { count: jobs.length }) : t('queue.none');
    const ids = new Set(jobs.map(({ id }) => id));
    for (const [id, row] of this.rows) {
      if (ids.has(id)) continue;
      if (row.contains(document.activeElement)) $('queue-summary').focus();
      row.remove();
      this.rows.delete(id);
    }
    let ahead = 0;
    const pace = paceOf(jobs);
    jobs.forEach((job, index) => {
      if (!this.rows.has(job.id)) this.rows.set(job.id, this.row(job.id));
      const row = this.rows.get(job.id);
      const box = $('queue-list');
      if (box.children[index] !== row) box.insertBefore(row, box.children[index] ?? null);
      this.wordRow(row, job, index, ahead);
      const seconds = job.secondsLeft ?? (pace === null ? null : pace * job.cost);
      ahead = seconds === null || ahead === null ? null : ahead + seconds;
    });
  }

  row(id) {
    const row = document.createElement('li');
    const open = document.createElement('button');
    open.type = 'button';
    open.append(...['b', 'span', 'small'].map((tag) => document.createElement(tag)));
    const bar = document.createElement('progress');
    bar.max = 1;
    bar.setAttribute('aria-hidden', 'true');
    const stop = document.createElement('button');
    Object.assign(stop, { type: 'button', className: 'quiet icon small', textContent: '×' });
    const find = () => this.jobs.find((job) => job.id === id);
    open.addEventListener('click', () => {
      const job = find();
      if (job) this.watch(job);
      $('queue').open = false;
    });
    stop.addEventListener('click', () => {
      const job = find();
      if (job) this.askToCancel(stop, job);
    });
    row.append(open, stop, bar);
    return row;
  }

  /** A job that has cost time, or is not of this tab, is cancelled at the second press. */
  askToCancel(button, job) {
    const isCheap = job.run?.isOwn && (job.isWaiting || job.run.seconds < 10);
    if (isCheap || button.classList.contains('is-sure')) {
      this.cancel(job);
      return;
    }
    button.classList.add('is-sure');
    button.textContent = t('cancel.sure');
    setTimeout(() => {
      button.classList.remove('is-sure');
      button.textContent = '×';
    }, sureMilliseconds);
  }

  wordRow(row, job, index, ahead) {
    const [open, stop, bar] = row.children;
    const [number, prompt, time] = open.children;
    number.textContent = index + 1;
    prompt.textContent = job.prompt;
    prompt.title = job.prompt;
    const left = job.secondsLeft > 0 ? t('progress.left', { time: duration(job.secondsLeft) }) : '';
    const start = ahead > 0 ? t('queue.starts', { time: duration(ahead) }) : t('queue.waits');
    time.textContent = job.isWaiting ? start : [`${Math.round(job.share * 100)} %`, left].filter(Boolean).join(' · ');
    bar.value = job.share ?? 0;
    bar.hidden = job.isWaiting;
    row.classList.toggle('is-other', !job.run?.isOwn);
    stop.setAttribute('aria-label', t('queue.cancel', { prompt: job.prompt }));
    stop.title = t('queue.cancel', { prompt: job.prompt });
  }

  word() {
    this.show();
  }
}
