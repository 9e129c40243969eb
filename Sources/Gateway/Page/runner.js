// Part of Inkstone. Licence: see LICENSE.

import { cancelJob, fetchJob, followJob, ServiceError, submitJob } from './api.js';
import { pictureOf, picturesOf } from './pictures.js';
import { Progress } from './progress.js';
import { ofThisTab } from './store.js';

/** A unique key for a request; `crypto.randomUUID` exists in secure contexts only. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * The one job that this tab works on. It survives a reload of the tab and a restart of the server.
 *
 * Calls methods of `view`: `begin(request, progress)`, `event(name, data, progress)`, `picture(picture)`,
 * `end(outcome, error)` with `done`, `cancelled` or `failed`, and `reopen(pictures)` of a job that
 * was done while the tab was loaded again.
 */
export class Runner {
  constructor(view, connection) {
    this.view = view;
    this.connection = connection;
    this.current = null;
  }

  get isBusy() { return this.current !== null; }

  /** Runs a request to its end. */
  async run(request) {
    if (this.isBusy) return;
    const current = this.begin(request);
    const key = newKey();
    await this.guard(async () => {
      const job = await this.insist(() => submitJob(request, key));
      this.take(current, job);
      // Cancelled before the server's answer.
      if (current.stop.signal.aborted) await cancelJob(job.id);
      await this.follow(current);
    });
  }

  /** Resumes the job of this tab after a reload. */
  async resume() {
    const id = ofThisTab.get('job');
    if (!id || this.isBusy) return;
    const job = await fetchJob(id).catch(() => null);
    if (!job || !['queued', 'running'].includes(job.state)) {
      ofThisTab.remove('job');
      if (job?.images.length > 0) this.view.reopen(picturesOf(job));
      return;
    }
    const [width, height] = job.size.split('x').map(Number);
    const current = this.begin({ ...job, width, height, count: job.n });
    this.take(current, job);
    await this.guard(() => this.follow(current));
  }

  begin(request) {
    this.current = {
      request, job: null, stop: new AbortController(), seen: new Set(),
      progress: new Progress(request.count, request.steps),
    };
    this.view.begin(request, this.current.progress);
    return this.current;
  }

  take(current, job) {
    current.job = job;
    ofThisTab.set('job', job.id);
  }

  /** Cancels the job within one step. */
  async cancel() {
    const { current } = this;
    if (!current || current.stop.signal.aborted) return;
    current.stop.abort();
    if (current.job) await cancelJob(current.job.id).catch(() => {});
  }

  async follow(current) {
    const { job, stop, progress, seen } = current;
    await this.insist(() => followJob(job.id, stop.signal, (name, data) => {
      if (name === 'image') {
        // After a loss of the connection the events start from the beginning.
        if (seen.has(data.index)) return;
        seen.add(data.index);
        progress.noteImage();
        this.view.picture(pictureOf(job, data));
      } else if (name === 'step') {
        progress.noteStep(data);
      }
      this.view.event(name, data, progress);
    }));
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

  async guard(work) {
    const { stop } = this.current;
    let outcome = 'done';
    let failure = null;
    try {
      await work();
    } catch (error) {
      const isCancelled = stop.signal.aborted || error.code === 'request_cancelled';
      outcome = isCancelled ? 'cancelled' : 'failed';
      failure = error;
    }
    this.current = null;
    ofThisTab.remove('job');
    this.view.end(outcome, failure);
  }
}
