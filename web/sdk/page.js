// page.js: the samples on the page of the SDK name this laboratory.

for (const sample of document.querySelectorAll('[data-origin]')) sample.textContent = location.origin
