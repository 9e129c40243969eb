// Part of Inkstone. Licence: see LICENSE.

import { cancelJob, fetchJob, followJob, ServiceError, submitJob } from './api.js';
import { pictureOf, picturesOf } from './pictures.js';
import { Progress } from './progress.js';
import { ofThisTab } from './store.js';

/** A unique key for a request; `crypto.randomUUID` exists in secure contexts only. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** A browser opens six connections to a server: event streams leave some for everything else. */
const mostStreams = 3;
const unfinished = ['queued', 'running'];

/** A job that this tab follows, from its submission to its end. */
class Run {
  constructor(request, isOwn) {
    this.key = newKey();
    this.request = request;
    /** Whether this tab submitted it. */
    this.isOwn = isOwn;
    this.job = null;
    this.stop = new AbortController();
    this.seen = new Set();
    this.progress = new Progress(request.count, request.steps);
    /** The last preview of each image, and the finished images. */
    this.previews = [];
    this.pictures = [];
    /** `sending`, `queued`, `running`, and `ended` after the last event. */
    this.state = 'sending';
    this.position = null;
    this.begun = performance.now();
    this.submitted = this.begun;
  }

  /** Seconds since this tab has followed it. */
  get waited() { return (performance.now() - this.submitted) / 1000; }

  get id() { return this.job?.id; }

  /** Seconds since the work began, or since the submission. */
  get seconds() {
    const { started } = this.job ?? {};
    return started ? Date.now() / 1000 - started : (performance.now() - this.begun) / 1000;
  }
}

/**
 * The jobs of this tab, which survive a reload of the tab and a restart of the server.
 *
 * Calls methods of `view`: `begin(run)`, `event(run, name, data)`, `picture(run, picture)`,
 * `end(run, outcome, error)` with `done`, `cancelled` or `failed`, and `reopen(pictures)` of a job that
 * was done while the tab was loaded again.
 */
export class Runner {
  constructor(view, connection) {
    this.view = view;
    this.connection = connection;
    /** In the order of submission. */
    this.runs = [];
    this.streams = 0;
    this.waiting = [];
    /** Ids of jobs that have ended: a list that was asked for before may still have them. */
    this.ended = new Set();
  }

  get isBusy() { return this.runs.some(({ isOwn }) => isOwn); }

  find(id) { return this.runs.find((run) => run.id === id); }

  /** Submits a request; resolves with its job when the server has it, and rejects if it does not take it. */
  submit(request) {
    const run = this.begin(request, true);
    return new Promise((resolve, reject) => {
      this.guard(run, async () => {
        this.take(run, await this.insist(() => submitJob(request, run.key)));
        resolve(run.job);
        // Cancelled before the server's answer.
        if (run.stop.signal.aborted) await cancelJob(run.id);
        await this.follow(run);
      }).then(reject);
    });
  }

  /** Resumes the jobs of this tab after a reload. */
  async resume() {
    const ids = (ofThisTab.getJSON('jobs') ?? []).filter((id) => !this.find(id));
    const jobs = await Promise.all(ids.map((id) => fetchJob(id).catch(() => null)));
    for (const job of jobs) if (unfinished.includes(job?.state)) this.watch(job, true);
    this.keep();
    const last = jobs.findLast((job) => job?.images.length > 0 && !unfinished.includes(job.state));
    if (last) this.view.reopen(picturesOf(last));
  }

  /** Follows a job that was submitted before, or elsewhere. */
  watch(job, isOwn = false) {
    const known = this.find(job.id);
    if (known) return known;
    const [width, height] = job.size.split('x').map(Number);
    const run = this.begin({ ...job, width, height, count: job.n }, isOwn);
    this.take(run, job);
    this.guard(run, () => this.follow(run));
    return run;
  }

  /** Follows a run at once, whatever else is followed. */
  hurry(run) {
    this.waiting.find((one) => one.run === run)?.start();
  }

  begin(request, isOwn) {
    const run = new Run(request, isOwn);
    this.runs.push(run);
    this.view.begin(run);
    return run;
  }

  take(run, job) {
    run.job = job;
    // A job that waits for others in the engine is running to the server.
    run.state = job.progress?.place > 0 ? 'queued' : job.state;
    this.keep();
  }

  keep() {
    ofThisTab.setJSON('jobs', this.runs.filter(({ isOwn, id }) => isOwn && id).map(({ id }) => id));
  }

  /** Cancels a job within one step. */
  async cancel(run) {
    if (run.stop.signal.aborted) return;
    run.stop.abort();
    if (run.job) await cancelJob(run.id).catch(() => {});
  }

  async follow(run) {
    await this.stream(run);
    try {
      await this.insist(() => followJob(run.id, run.stop.signal, (name, data) => this.note(run, name, data)));
    } finally {
      this.streams -= 1;
      this.waiting[0]?.start();
    }
  }

  /** Resolves when a connection is free for the events of a run. */
  stream(run) {
    if (this.streams < mostStreams) {
      this.streams += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const { signal } = run.stop;
      const leave = () => { this.waiting = this.waiting.filter((one) => one.run !== run); };
      const start = () => {
        leave();
        this.streams += 1;
        resolve();
      };
      this.waiting.push({ run, start });
      signal.addEventListener('abort', () => { leave(); reject(signal.reason); }, { once: true });
    });
  }

  note(run, name, data) {
    const { job, progress, seen } = run;
    if (name === 'image') {
      // After a loss of the connection the events start from the beginning.
      if (seen.has(data.index)) return;
      seen.add(data.index);
      progress.noteImage();
      const picture = pictureOf(job, data);
      run.pictures.push(picture);
      run.pictures.sort((a, b) => a.index - b.index);
      this.view.picture(run, picture);
    } else if (name === 'step') {
      progress.noteStep(data);
    } else if (name === 'queued') {
      run.position = data.position;
      run.state = 'queued';
    } else if (name === 'preview') {
      run.previews[data.image] = data.url;
    }
    if (name !== 'queued' && run.state !== 'running') {
      run.state = 'running';
      run.begun = performance.now();
    }
    this.view.event(run, name, data);
  }

  /** Retries an operation that fails for lack of a connection, each time after waiting for one. */
  async insist(work) {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof ServiceError) || !error.isLoss) throw error;
        await this.connection.wait();
      }
    }
  }

  async guard(run, work) {
    let outcome = 'done';
    let failure = null;
    try {
      await work();
    } catch (error) {
      const isCancelled = run.stop.signal.aborted || error.code === 'request_cancelled';
      outcome = isCancelled ? 'cancelled' : 'failed';
      failure = error;
    }
    run.state = 'ended';
    if (run.id) this.ended.add(run.id);
    this.runs = this.runs.filter((one) => one !== run);
    this.keep();
    this.view.end(run, outcome, failure);
    return failure;
  }
}
