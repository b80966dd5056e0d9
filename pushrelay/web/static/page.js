// Deletions: the only thing on the page that needs a script.
"use strict";

function tell(text) {
  const message = document.getElementById("message");
  message.textContent = text;
  message.hidden = false;
  message.scrollIntoView({ block: "center" });
}

async function act(button) {
  if (!window.confirm(button.dataset.confirm)) {
    return;
  }
  button.disabled = true;
  try {
    const answer = await fetch(button.dataset.url, { method: button.dataset.method });
    if (answer.ok) {
      window.location.reload();
      return;
    }
    tell(`The relay answered ${answer.status}: ${await answer.text()}`);
  } catch (error) {
    tell(`The relay did not answer: ${error.message}`);
  }
  button.disabled = false;
}

for (const button of document.querySelectorAll("button[data-url]")) {
  button.hidden = false;
  button.addEventListener("click", () => act(button));
}
