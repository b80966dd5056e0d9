// Choosing all groups of the page at once, and how many are chosen. Without this script
// groups are chosen one by one.
"use strict";

const form = document.getElementById("chosen");
const list = document.getElementById("groups");
const label = document.getElementById("all");
const all = label.querySelector("input");
const number = document.getElementById("number");

function count() {
  const boxes = list.querySelectorAll("input[name=key]");
  const chosen = [...boxes].filter((box) => box.checked).length;
  form.hidden = boxes.length === 0;
  all.checked = chosen > 0 && chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
  number.textContent = chosen ? `${chosen} chosen` : "";
}

all.addEventListener("change", () => {
  for (const box of list.querySelectorAll("input[name=key]")) {
    box.checked = all.checked;
  }
  count();
});
list.addEventListener("change", count);
// The list keeps current, and groups come and go.
new MutationObserver(count).observe(list, { childList: true });
// Browsers restore what was chosen when somebody comes back.
window.addEventListener("pageshow", count);
label.hidden = false;
count();
