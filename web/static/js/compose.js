// compose.js: in the editor of a survey, shows of each question what goes with how
// it is answered. Without it all of it shows.

/** keepCompose keeps the editor's questions in step with their kinds. */
export function keepCompose(form) {
  const fit = () => {
    for (const row of form.querySelectorAll('[data-question-row]')) {
      const kind = row.querySelector('[data-kind]').value
      for (const part of row.querySelectorAll('[data-for]')) part.hidden = !part.dataset.for.split(' ').includes(kind)
    }
  }
  form.addEventListener('change', fit)
  fit()
  if (location.hash.startsWith('#question-')) document.querySelector(location.hash)?.querySelector('input:not([type=hidden])')?.focus()
}
