// Part of Inkstone. Licence: see LICENSE.

import { fetchMetrics, fetchStatus, ServiceError } from './api.js';
import { bytes, duration, short, t } from './language.js';
import { sparkline, sums } from './metrics.js';

const $ = (id) => document.getElementById(id);
const pollMilliseconds = 2000;
const places = 60;

/** The values of a chart, from two readings and the seconds between them. */
const lines = {
  throughput: (now, before, seconds) => delta(now, before, 'inkstone_images_total') / seconds * 60,
  steps: (now, before, seconds) => delta(now, before, 'inkstone_denoise_evaluations_total') / seconds,
  latency: (now, before) => {
    const count = delta(now, before, 'inkstone_generation_duration_seconds_count');
    return count > 0 ? delta(now, before, 'inkstone_generation_duration_seconds_sum') / count : null;
  },
};
const delta = (now, before, name) => Math.max(0, (now.get(name) ?? 0) - (before.get(name) ?? 0));

/** Models, memory, queue and throughput, refreshed while the view is visible. */
export class Status {
  constructor({ lost, fail }) {
    Object.assign(this, { lost, fail });
    this.values = { throughput: [], steps: [], latency: [] };
    this.before = null;
    this.timer = 0;
  }

  start() {
    if (this.timer) return;
    this.timer = setInterval(() => { if (!document.hidden) this.poll(); }, pollMilliseconds);
    this.poll();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
  }

  async poll() {
    try {
      const [status, text] = await Promise.all([fetchStatus(), fetchMetrics()]);
      this.status = status;
      this.read(sums(text));
      this.word();
    } catch (error) {
      if (error instanceof ServiceError && error.isLoss) this.lost();
      else this.fail(error);
    }
  }

  read(metrics) {
    const at = performance.now() / 1000;
    if (this.before) {
      const seconds = at - this.before.at;
      for (const [name, line] of Object.entries(lines)) {
        const values = this.values[name];
        values.push(line(metrics, this.before.metrics, seconds));
        if (values.length > places) values.shift();
      }
    }
    this.before = { at, metrics };
    this.metrics = metrics;
  }

  word() {
    const { status, metrics } = this;
    if (!status) return;
    $('status-uptime').textContent = t('status.uptime', { version: status.version, time: duration(status.uptime_seconds) });
    $('status-running').textContent = status.running;
    $('status-waiting').textContent = status.waiting;
    const workers = status.models.flatMap((model) => model.workers);
    const used = workers.reduce((sum, worker) => sum + (worker.memory_bytes ?? 0), metrics.get('process_resident_memory_bytes') ?? 0);
    $('status-memory').textContent = bytes(used);
    $('status-free').textContent = status.available_bytes ? t('status.free', { size: bytes(status.available_bytes) }) : '';
    $('status-images').textContent = new Intl.NumberFormat().format(metrics.get('inkstone_images_total') ?? 0);
    $('status-models').replaceChildren(...status.models.map((model) => this.model(model)));
    this.wordLines();
  }

  model(model) {
    const row = document.createElement('tr');
    const states = model.workers.map(({ state }) => t(`state.${state}`));
    const restarts = model.workers.reduce((sum, worker) => sum + worker.restarts, 0);
    const memory = model.workers.reduce((sum, worker) => sum + (worker.memory_bytes ?? 0), 0);
    const cells = [
      model.name, model.parameters ? short(model.parameters) : '', [model.precision, model.kernels].filter(Boolean).join(' · '),
      states.length ? [...new Set(states)].join(', ') : t('state.ready'), memory ? bytes(memory) : '–', restarts,
    ];
    cells.forEach((text, index) => {
      const cell = document.createElement(index === 0 ? 'th' : 'td');
      if (index === 0) cell.scope = 'row';
      cell.textContent = text;
      row.append(cell);
    });
    return row;
  }

  wordLines() {
    const unit = {
      throughput: (value) => t('status.perMinute', { count: value.toFixed(1) }),
      steps: (value) => t('status.perSecond', { count: value.toFixed(1) }),
      latency: (value) => duration(value),
    };
    for (const [name, values] of Object.entries(this.values)) {
      sparkline($(`line-${name}`), values, places);
      const last = values.findLast((value) => value !== null);
      $(`figure-${name}`).textContent = last === undefined ? '–' : unit[name](last);
    }
  }
}
