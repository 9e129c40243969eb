// Part of Inkstone. Licence: see LICENSE.

import { duration, t } from './language.js';

const $ = (id) => document.getElementById(id);
const longSeconds = 10;
const sureMilliseconds = 4000;

/** Progress of the job on the stage, and its cancelling. */
export class Work {
  /** `tell` names the tab, `announce(text)` reads a text aloud. */
  constructor({ stage, runner, tell, announce }) {
    Object.assign(this, { stage, runner, tell, announce });
    /** The run that the next Esc or press cancels. */
    this.sure = null;
    $('cancel').addEventListener('click', () => this.cancel());
  }

  /** Cancels the job on the stage; one that takes longer, at the second press. */
  cancel() {
    const { run } = this.stage;
    if (!run) return false;
    const isLong = run.state === 'running' && run.seconds + (run.progress.secondsLeft ?? 0) > longSeconds;
    if (!isLong || this.sure === run) {
      this.sure = null;
      this.runner.cancel(run);
      return true;
    }
    this.sure = run;
    this.wordCancel();
    this.announce($('cancel-text').textContent);
    setTimeout(() => {
      this.sure = null;
      this.wordCancel();
    }, sureMilliseconds);
    return true;
  }

  wordCancel() {
    $('cancel-text').textContent = t(this.sure ? 'cancel.again' : 'cancel');
  }

  /** The stage shows something else. */
  showStage() {
    $('progress').hidden = !this.stage.run;
    $('cancel').hidden = !this.stage.run;
    $('frame').setAttribute('aria-busy', String(this.stage.run !== null));
    this.sure = null;
    this.wordCancel();
    this.show();
  }

  show() {
    const first = this.stage.run ?? this.runner.runs.find(({ isOwn, state }) => isOwn && state === 'running');
    const others = this.runner.runs.filter(({ isOwn }) => isOwn).length - 1;
    const isDrawing = first?.progress.first;
    const title = isDrawing ? `${Math.round(first.progress.share * 100)} %${others > 0 ? ` (+${others})` : ''} · Inkstone` : 'Inkstone';
    if (title !== this.tell.title) this.tell.useTitle(title);
    if (!this.stage.run) return;
    const { progress, state, position } = this.stage.run;
    const bar = $('bar');
    if (isDrawing) bar.value = progress.share;
    else bar.removeAttribute('value');
    $('progress-text').textContent = isDrawing ? wordStep(progress) : {
      sending: t('progress.sending'),
      queued: position > 0 ? t('progress.queued', { count: position }) : t('progress.next'),
    }[state] ?? t('progress.started');
    const parts = [];
    if (progress.pace !== null) parts.push(t('progress.pace', { pace: progress.pace.toFixed(progress.pace < 10 ? 2 : 0) }));
    if (progress.secondsLeft > 0) parts.push(t('progress.left', { time: duration(progress.secondsLeft) }));
    $('progress-time').textContent = parts.join(' · ');
  }
}

function wordStep({ images, step, steps, isDecoding }) {
  if (isDecoding) return t('progress.decoding');
  return t(images > 1 ? 'progress.images' : 'progress.step', { count: images, step, steps });
}
