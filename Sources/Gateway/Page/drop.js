// Part of Inkstone. Licence: see LICENSE.

const $ = (id) => document.getElementById(id);

/**
 * Images that are dropped on the page or pasted.
 *
 * `onFile(file, purpose)` gets the purpose of the drop zone: `source`, `restore` or, elsewhere and after
 * pasting, nothing.
 */
export function takePictures(onFile) {
  let depth = 0;
  const show = (isOver) => { $('drop').hidden = !isOver; };
  const holdsFile = (event) => event.dataTransfer?.types.includes('Files');
  const pictureIn = (list) => [...(list ?? [])].find((file) => file.type.startsWith('image/'));

  document.addEventListener('dragenter', (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (!holdsFile(event)) return;
    depth -= 1;
    if (depth <= 0) show(false);
  });
  document.addEventListener('dragover', (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    for (const target of $('drop').children) target.classList.toggle('is-over', target.contains(event.target));
  });
  document.addEventListener('drop', (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    const file = pictureIn(event.dataTransfer.files);
    if (file) onFile(file, event.target.closest?.('[data-drop]')?.dataset.drop);
  });
  document.addEventListener('paste', (event) => {
    const file = pictureIn(event.clipboardData?.files);
    if (!file) return;
    event.preventDefault();
    onFile(file);
  });
}
