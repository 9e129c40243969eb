// Part of Inkstone. Licence: see LICENSE.

const $ = (id) => document.getElementById(id);
const composingKey = 229;
const isField = (element) => element?.matches('input:not([type="range"], [type="checkbox"]), textarea, select') ?? false;

/**
 * The keys of the page: Ctrl+Enter generates, Esc closes what is open, then cancels.
 *
 * They act where the Create view is shown, and in no field and no dialog but for their own: an input method, a
 * search field and a dialog have an Esc of their own.
 */
export function listenToKeys({ views, stage, run, cancel }) {
  document.addEventListener('keydown', (event) => {
    if (event.isComposing || event.keyCode === composingKey || event.defaultPrevented) return;
    const dialog = document.querySelector('dialog[open]');
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      if (views.current !== 'create' || (dialog && dialog !== $('mask'))) return;
      event.preventDefault();
      if (!dialog) {
        run();
        return;
      }
      // What was painted counts once the dialog is closed.
      dialog.addEventListener('close', () => run(), { once: true });
      dialog.close();
    } else if (event.key === 'Escape' && !dialog && close(event)) {
      event.preventDefault();
    }
  });

  /** Acts on Esc; returns whether there was something to do. */
  function close() {
    const open = ['recall', 'queue'].map($).find((box) => box.open);
    if (open) {
      open.open = false;
      open.querySelector('summary').focus();
      return true;
    }
    if (views.current !== 'create' || isField(document.activeElement)) return false;
    if (stage.compare.isOn) {
      stage.compare.end();
      return true;
    }
    return cancel();
  }

  document.addEventListener('click', (event) => {
    for (const box of ['recall', 'queue'].map($)) if (!box.contains(event.target)) box.open = false;
  });
  if (/Mac|iPhone|iPad/.test(navigator.platform)) $('generate-key').textContent = '⌘ ↵';
}
