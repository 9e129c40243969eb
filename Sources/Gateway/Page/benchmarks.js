// Part of Inkstone. Licence: see LICENSE.

import { address, fetchText, runFile } from './api.js';
import { t } from './language.js';

const $ = (id) => document.getElementById(id);

/** Results of load tests in the server's folder. */
export class Benchmarks {
  constructor({ fail }) {
    this.fail = fail;
    this.runs = [];
  }

  use(runs) {
    this.runs = runs;
    $('runs-empty').hidden = runs.length > 0;
    $('bench').hidden = runs.length === 0;
    $('runs').replaceChildren(...runs.map((run) => {
      const button = document.createElement('button');
      button.type = 'button';
      const [, date, time, name] = run.name.match(/^(\d{8})T(\d{6})Z?-(.+)$/) ?? [];
      const title = document.createElement('span');
      title.textContent = name ?? run.name;
      button.append(title);
      if (date) {
        const stamp = document.createElement('small');
        stamp.textContent = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)} ${time.slice(0, 2)}:${time.slice(2, 4)} UTC`;
        button.append(stamp);
      }
      button.addEventListener('click', () => this.open(run));
      return button;
    }));
    if (runs.length > 0) this.open(runs[0]);
  }

  async open(run) {
    [...$('runs').children].forEach((button, index) => {
      button.setAttribute('aria-current', String(this.runs[index] === run));
    });
    $('run-title').textContent = run.name;
    const has = (file) => run.files.includes(file);
    $('run-report').hidden = !has('report.html');
    $('run-report').href = address(runFile(run.name, 'report.html'));
    try {
      const text = async (file) => (has(file) ? fetchText(runFile(run.name, file)) : '');
      const [table, summary] = await Promise.all([text('table.md'), text('summary.json')]);
      $('run-body').replaceChildren(...blocksOf(table));
      $('run-facts').replaceChildren(...factsOf(summary));
    } catch (error) {
      this.fail(error);
    }
  }

  word() {
    $('run-report').textContent = t('benchmarks.report');
  }
}

/** Tables and paragraphs of the Markdown subset in a table file. */
function blocksOf(markdown) {
  const blocks = [];
  let rows = [];
  const close = () => {
    if (rows.length > 0) blocks.push(tableOf(rows));
    rows = [];
  };
  for (const line of markdown.split('\n')) {
    if (/^\s*:?-{3,}[-|: ]*$/.test(line)) continue;
    if (line.includes('|')) {
      const cells = line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());
      if (!cells.every((cell) => /^:?-+:?$/.test(cell))) rows.push(cells);
      continue;
    }
    close();
    const text = line.replace(/^#+\s*/, '').replace(/[*_`]/g, '').trim();
    if (text) blocks.push(Object.assign(document.createElement('p'), { textContent: text }));
  }
  close();
  return blocks;
}

function tableOf([head, ...rows]) {
  const box = document.createElement('div');
  box.className = 'scroll';
  box.tabIndex = 0;
  box.setAttribute('role', 'region');
  box.setAttribute('aria-labelledby', 'run-title');
  const table = document.createElement('table');
  const line = (cells, tag) => {
    const row = document.createElement('tr');
    row.append(...cells.map((text) => Object.assign(document.createElement(tag), { textContent: text })));
    return row;
  };
  table.createTHead().append(line(head, 'th'));
  table.createTBody().append(...rows.map((cells) => line(cells, 'td')));
  box.append(table);
  return box;
}

/** The plain values at the top of a summary. */
function factsOf(text) {
  let summary;
  try { summary = JSON.parse(text); } catch { return []; }
  return Object.entries(summary)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .slice(0, 12)
    .flatMap(([key, value]) => [
      Object.assign(document.createElement('dt'), { textContent: key.replaceAll('_', ' ') }),
      Object.assign(document.createElement('dd'), { textContent: String(value) }),
    ]);
}
