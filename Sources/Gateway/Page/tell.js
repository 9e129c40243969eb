// Part of Inkstone. Licence: see LICENSE.

import { address } from './api.js';
import { t } from './language.js';
import { remembered } from './store.js';

const $ = (id) => document.getElementById(id);
/** Who waits for less looks at the page anyway. */
const longSeconds = 20;
const mostSent = 200;
const notes = [660, 880];

/** Reports finished pictures to a user who does something else meanwhile, or who comes back. */
export class Tell {
  /** `say(text)` shows a note, `freshen(ids)` marks pictures as new. */
  constructor({ say, freshen }) {
    Object.assign(this, { say, freshen });
    /** Pictures that were made while the page was not looked at. */
    this.unseen = 0;
    this.title = 'Inkstone';
    this.sent = new Set(remembered.getJSON('sent') ?? []);
    for (const [name, way] of [['notify', () => this.allow()], ['sound', () => this.ring()]]) {
      this.choice(name, way);
    }
    document.addEventListener('visibilitychange', () => this.look());
    addEventListener('focus', () => this.look());
    addEventListener('pagehide', () => this.leave());
  }

  get isAway() { return document.hidden || !document.hasFocus(); }

  /** A box to tick: `way()` is what it does first. */
  choice(name, way) {
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.id = `tell-${name}`;
    box.checked = remembered.get(name) === 'on';
    const text = document.createElement('span');
    text.dataset.i18n = `tell.${name}`;
    text.textContent = t(text.dataset.i18n);
    label.append(box, text);
    box.addEventListener('change', async () => {
      if (box.checked && await way() === false) box.checked = false;
      remembered.set(name, box.checked ? 'on' : 'off');
    });
    this[name] = box;
    $('tell').append(label);
  }

  /** Asks the browser for its permission; false if there is none. */
  async allow() {
    const answer = 'Notification' in window ? await Notification.requestPermission() : 'denied';
    if (answer !== 'granted') this.say(t('tell.denied'));
    return answer === 'granted';
  }

  /** Two soft notes. */
  ring() {
    const context = new AudioContext();
    notes.forEach((pitch, index) => {
      const begin = context.currentTime + index * 0.16;
      const tone = new OscillatorNode(context, { frequency: pitch });
      const volume = new GainNode(context, { gain: 0 });
      volume.gain.linearRampToValueAtTime(0.12, begin + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, begin + 0.5);
      tone.connect(volume).connect(context.destination);
      tone.start(begin);
      tone.stop(begin + 0.55);
      if (index === notes.length - 1) tone.addEventListener('ended', () => context.close());
    });
  }

  /** Remembers a job of this browser. */
  note(id) {
    this.sent.add(id);
    remembered.setJSON('sent', [...this.sent].slice(-mostSent));
  }

  /** A job of this tab has pictures. */
  done(run) {
    const count = run.pictures.length;
    if (run.waited >= longSeconds && this.sound.checked) this.ring();
    if (!this.isAway) {
      this.leave();
      return;
    }
    this.unseen += count;
    this.freshen(run.pictures.map(({ id }) => id));
    this.showTitle();
    this.icon(true);
    if (run.waited >= longSeconds && this.notify.checked && window.Notification?.permission === 'granted') {
      const message = new Notification(t('tell.ready', { count }), { body: run.request.prompt, tag: run.id });
      message.addEventListener('click', () => window.focus());
    }
  }

  /** Names the tab: the progress, or that pictures are ready. */
  useTitle(text) {
    this.title = text;
    this.showTitle();
  }

  showTitle() {
    document.title = this.unseen > 0 ? `✓ ${t('tell.ready', { count: this.unseen })} · ${this.title}` : this.title;
  }

  icon(hasDot) {
    const link = document.querySelector('link[rel="icon"]');
    link.href = address(hasDot ? 'assets/icon-new.svg' : 'assets/icon.svg');
  }

  /** The page is looked at again. */
  look() {
    if (document.hidden) {
      this.leave();
      return;
    }
    if (this.unseen === 0) return;
    this.say(t('tell.meanwhile', { count: this.unseen }));
    this.unseen = 0;
    this.showTitle();
    this.icon(false);
    this.leave();
  }

  leave() {
    remembered.set('left', Date.now() / 1000);
  }

  /** Marks pictures of this browser that were made since it was here last. */
  welcome(pictures) {
    const left = Number(remembered.get('left'));
    const fresh = left ? pictures.filter(({ job }) => this.sent.has(job.id) && job.finished > left) : [];
    this.leave();
    if (fresh.length === 0) return;
    this.freshen(fresh.map(({ id }) => id));
    this.say(t('tell.meanwhile', { count: fresh.length }));
  }
}
