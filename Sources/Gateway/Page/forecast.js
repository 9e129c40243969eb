// Part of Inkstone. Licence: see LICENSE.

import { fetchEstimate } from './api.js';
import { promptHints } from './hints.js';
import { bytes, duration, t } from './language.js';

const $ = (id) => document.getElementById(id);
const restMilliseconds = 250;
const settleMilliseconds = 1200;

/** Shows the estimated cost of a request, and hints about its prompt. */
export class Forecast {
  /** `read()` returns the current request, or null. */
  constructor(read) {
    this.read = read;
    this.answer = null;
    this.timer = 0;
    this.asking = null;
    this.vocabulary = null;
    this.isSettled = false;
    this.settling = 0;
  }

  /** The words of the model, or null if it lists none. */
  useVocabulary(vocabulary) {
    this.vocabulary = vocabulary;
    this.settle();
    this.hint();
  }

  /** A hint about unknown words waits for a pause in typing, and stays for as long as it holds. */
  settle() {
    this.isSettled &&= this.vocabulary?.isForeign($('prompt').value) ?? false;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.isSettled = true;
      this.hint();
    }, settleMilliseconds);
  }

  /** Requests an estimate after a pause in typing. */
  refresh() {
    this.settle();
    this.hint();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), restMilliseconds);
  }

  async ask() {
    this.asking?.abort();
    this.asking = new AbortController();
    const request = this.read();
    try {
      this.answer = request && await fetchEstimate(request, this.asking.signal);
    } catch {
      // An invalid request has no forecast; the button shows the error.
      if (!this.asking.signal.aborted) this.answer = null;
    }
    this.word();
  }

  word() {
    const { answer } = this;
    const parts = [];
    if (answer) {
      parts.push(answer.seconds === undefined ? t('forecast.first') : t('forecast.time', { time: duration(answer.seconds) }));
      if (answer.memory_bytes) parts.push(t('forecast.memory', { size: bytes(answer.memory_bytes) }));
      if (answer.ahead > 0) {
        const time = answer.queue_seconds > 0 && duration(answer.queue_seconds);
        parts.push(t(time ? 'forecast.queue' : 'forecast.queue.unknown', { count: answer.ahead, time }));
      }
    }
    $('forecast').textContent = parts.join(' · ');
    const more = answer?.model_bytes
      ? t('forecast.title', { size: bytes(answer.model_bytes), free: bytes(answer.available_bytes ?? 0) }) : '';
    $('forecast').title = [...parts, more].filter(Boolean).join('\n');
    const tooMuch = answer?.memory_bytes > answer?.available_bytes;
    $('memory-caution').hidden = !tooMuch;
    $('tokens').textContent = answer?.prompt_tokens && $('prompt').value.trim()
      ? t('tokens', { count: answer.prompt_tokens, limit: answer.token_limit }) : '';
    this.hint();
  }

  hint() {
    const hints = promptHints($('prompt').value, this.isSettled ? this.vocabulary : null);
    const { answer } = this;
    if (answer?.prompt_tokens > answer?.token_limit) {
      hints.unshift(['hint.long', { count: answer.prompt_tokens, limit: answer.token_limit }]);
    }
    const texts = hints.map(([key, values]) => t(key, values));
    const box = $('hints');
    // The same hint again would be read aloud again.
    if (texts.join('\n') === [...box.children].map((item) => item.textContent).join('\n')) return;
    box.replaceChildren(...texts.map((text) => Object.assign(document.createElement('li'), { textContent: text })));
  }
}
