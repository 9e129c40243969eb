// Part of Inkstone. Licence: see LICENSE.

import { ServiceError } from './api.js';
import { language, t } from './language.js';

const $ = (id) => document.getElementById(id);

/** The text of an error, in the language of the page. */
export function wordError(error) {
  if (!(error instanceof ServiceError)) return error.word?.() ?? String(error.message ?? error);
  const key = `error.${error.code}`;
  const text = t(key, { seconds: error.retryAfter });
  if (text !== key) return text;
  // The server's sentences are English.
  return language === 'en' ? error.message : t('error.other');
}

/** What the page says: an error, a note with a way back, and what is read aloud. */
export class Messages {
  /** `connection` waits for a server that is lost. */
  constructor(connection) {
    this.connection = connection;
    /** Returns the error's text in the language of the page. */
    this.error = null;
    this.undo = null;
    this.announced = 0;
    $('note-undo').addEventListener('click', () => {
      const { undo } = this;
      this.clearNote();
      undo?.();
      $('prompt').focus();
    });
  }

  /** Shows an error, or a function that words it; null removes it. */
  showError(error) {
    if (error instanceof ServiceError && ['missing_api_key', 'invalid_api_key'].includes(error.code)) {
      $('key-box').hidden = false;
    }
    this.error = error === null ? null : () => (typeof error === 'function' ? error() : wordError(error));
    this.word();
  }

  fail(error) {
    if (error instanceof ServiceError && error.isLoss) this.connection.wait();
    else this.showError(error);
  }

  /** Shows a note; `undo()` takes back what it is about. */
  note(text, undo = null) {
    this.showError(null);
    this.undo = undo;
    $('note-text').textContent = text;
    $('note-undo').hidden = undo === null;
    $('note').hidden = false;
    this.announce(text);
  }

  clearNote() {
    this.undo = null;
    $('note').hidden = true;
  }

  announce(text) {
    this.announced = performance.now();
    $('live').textContent = text;
  }

  /** Seconds since something was read aloud. */
  get silence() { return (performance.now() - this.announced) / 1000; }

  word() {
    $('error').hidden = this.error === null;
    $('error').textContent = this.error?.() ?? '';
  }
}
