// Part of Inkstone. Licence: see LICENSE.

import { isAlive } from './api.js';
import { t } from './language.js';

const $ = (id) => document.getElementById(id);
const retryMilliseconds = 1000;
const beatMilliseconds = 10_000;
const thanksMilliseconds = 2500;

/** Detects the loss of the server, shows it, and waits until the server answers again. */
export class Connection {
  /** `onReturn()` is called when the server answers again. */
  constructor(onReturn) {
    this.onReturn = onReturn;
    this.waiting = null;
    setInterval(async () => {
      if (!document.hidden && !this.waiting && !await isAlive()) this.wait();
    }, beatMilliseconds);
  }

  /** Resolves as soon as the server answers. */
  wait() {
    this.waiting ??= this.waitForReturn();
    return this.waiting;
  }

  async waitForReturn() {
    this.say('banner.lost', true);
    do {
      await new Promise((resume) => { setTimeout(resume, retryMilliseconds); });
    } while (!await isAlive());
    this.waiting = null;
    this.say('banner.back', false);
    setTimeout(() => { if (!this.waiting) $('banner').hidden = true; }, thanksMilliseconds);
    this.onReturn();
  }

  say(key, isLost) {
    this.key = key;
    $('banner').textContent = t(key);
    $('banner').classList.toggle('is-lost', isLost);
    $('banner').hidden = false;
  }

  word() {
    if (this.key && !$('banner').hidden) $('banner').textContent = t(this.key);
  }
}
