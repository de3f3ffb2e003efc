// compose.js: more questions in the form of a new survey, and the choices only
// where a question has some.

/** keepCompose lets the survey form grow. */
export function keepCompose(root) {
  const form = root.querySelector('[data-compose]')
  if (!form) return
  const fit = () => {
    for (const row of form.querySelectorAll('[data-question-row]')) {
      row.querySelector('textarea').closest('label').hidden = row.querySelector('select').value === 'text'
    }
  }
  const more = form.querySelector('[data-add-question]')
  more.hidden = false
  more.addEventListener('click', () => {
    const rows = form.querySelectorAll('[data-question-row]')
    const last = rows[rows.length - 1]
    const row = last.cloneNode(true)
    const n = rows.length + 1
    row.querySelector('[data-number]').textContent = n
    for (const control of row.querySelectorAll('[name]')) {
      control.name = control.name.replace(/\d+$/, n)
      control.dataset.testid = control.name
      if (control.localName !== 'select') control.value = ''
    }
    last.after(row)
    fit()
    row.querySelector('input').focus()
  })
  form.addEventListener('change', fit)
  fit()
}
