// Part of Inkstone. Licence: see LICENSE.

/** An invalid value, with its field. */
export class FieldError extends Error {
  /** `text` is what is wrong, or a function that returns it in the language of the page. */
  constructor(text, element) {
    const word = typeof text === 'function' ? text : () => text;
    super(word());
    Object.assign(this, { word, element });
  }
}

/** The error that stands beneath each field. */
const shown = new Map();

/** Shows an error beneath its field until the value changes, and moves the focus there; `onClear()` follows. */
export function showFieldError(error, onClear) {
  const { element } = error;
  clearFieldErrors();
  const line = document.createElement('p');
  line.className = 'field-error';
  line.id = `${element.id || 'field'}-error`;
  line.textContent = error.word();
  const row = element.closest('.size-row');
  if (row) row.append(line);
  else (element.closest('.seed-row') ?? element).after(line);
  const described = element.getAttribute('aria-describedby');
  element.setAttribute('aria-invalid', 'true');
  element.setAttribute('aria-describedby', [line.id, described].filter(Boolean).join(' '));
  const clear = () => {
    if (!shown.delete(element)) return;
    element.removeEventListener('input', clear);
    element.removeAttribute('aria-invalid');
    if (described) element.setAttribute('aria-describedby', described);
    else element.removeAttribute('aria-describedby');
    line.remove();
    onClear();
  };
  element.addEventListener('input', clear);
  shown.set(element, { error, line, clear });
  for (let box = element.closest('details'); box; box = box.parentElement.closest('details')) box.open = true;
  element.focus();
  element.scrollIntoView({ block: 'nearest' });
}

/** Removes all errors beneath fields. */
export function clearFieldErrors() {
  for (const { clear } of [...shown.values()]) clear();
}

/** Translates them. */
export function wordFieldErrors() {
  for (const { error, line } of shown.values()) line.textContent = error.word();
}

/** Replaces the text of a field such that the field's own undo brings the old text back. */
export function replaceText(field, text) {
  if (field.value === text) return;
  const isReached = field.checkVisibility?.() ?? true;
  if (isReached && text) {
    field.focus();
    field.select();
    // No words are offered for what was not typed.
    field.dataset.isReplaced = 'true';
    const isDone = document.execCommand('insertText', false, text);
    delete field.dataset.isReplaced;
    if (isDone) return;
  }
  field.value = text;
  field.dispatchEvent(new Event('input', { bubbles: true }));
}
