// Times in the reader's zone, and pages that stay current without being reloaded.
// All of it is there without this script, as it was when the page was asked for.
"use strict";

const EVERY = 10_000; // ms from one look at whether there is something new to the next
const AT_MOST = 300_000; // the same, however often looks failed: they back off
const PATIENCE = 30_000; // ms until a look has failed
const BOXES = "[type=checkbox], [type=radio]";
const FOCUSABLE = "a, button, input, summary, [tabindex]";
const FORM_FIELDS = "textarea, select, input:not([type=checkbox], [type=radio])";

// --- times ---

// How far the relay's clock is ahead of this one.
const skew = Number(document.documentElement.dataset.now) * 1000 - Date.now() || 0;
const local = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "medium",
});

function span(seconds) {
  const [size, unit] =
    seconds < 60 ? [1, "s"]
    : seconds < 3600 ? [60, "min"]
    : seconds < 172_800 ? [3600, "h"]
    : [86_400, "d"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

function relative(time) {
  const seconds = (Date.now() + skew - Date.parse(time.dateTime)) / 1000;
  const length = span(Math.abs(seconds));
  if (time.dataset.relative === "bare") {
    return length;
  }
  return seconds <= -1 ? `in ${length}` : `${length} ago`;
}

function keepTime() {
  if (document.hidden) {
    return;
  }
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const text = relative(time);
    if (time.textContent !== text) {
      time.textContent = text;
    }
  }
}

function tellZone() {
  const { timeZone } = local.resolvedOptions();
  if (timeZone === "UTC") {
    return; // as the page says already
  }
  const others = document.querySelector("svg.chart") ? "those of charts in UTC" : "in UTC on hover";
  document.getElementById("zone").textContent = `Times are in ${timeZone}, ${others}.`;
}

// For times as the server wrote them, once.
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const text = local.format(new Date(time.dateTime));
    if ("relative" in time.dataset) {
      time.title = `${text} (${time.title})`;
    } else {
      time.title = time.textContent;
      time.textContent = text;
    }
  }
}

// --- live regions: elements with data-live and an id ---

const shown = new Map(); // what is in each of them, as the server wrote it
let etag = null;
let timer = 0;
let failures = 0;
let lastSeen = Date.now();
let isLooking = false;

function liveRegions(root) {
  return root.querySelectorAll("[data-live][id]");
}

function nameOf(element) {
  if (element.id) {
    return `#${element.id}`;
  }
  if (element.matches("summary")) {
    return `summary of ${nameOf(element.parentElement)}`;
  }
  if (element.matches("details")) {
    const place = element.closest("article, section, tr");
    const title = place?.querySelector("h2, h3, h4, th")?.textContent ?? "";
    return `${title}\n${element.querySelector("summary")?.textContent}`;
  }
  return element.name
    ? `${element.name}=${element.matches(FORM_FIELDS) ? "" : element.value}`
    : `${element.tagName} ${element.getAttribute("href")}`;
}

// Elements of a region by what they stand for, in an older and a newer one alike. Those
// of one name are told apart by their order.
function byName(region, selector) {
  const named = new Map();
  const counts = new Map();
  for (const element of region.querySelectorAll(selector)) {
    const name = nameOf(element);
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    named.set(`${count} ${name}`, element);
  }
  return named;
}

// Whether somebody is at work there who must not be disturbed.
function isInUse(region) {
  const active = document.activeElement;
  if (region.contains(active) && active.matches(FORM_FIELDS)) {
    return true;
  }
  const selection = window.getSelection();
  return !selection.isCollapsed && selection.containsNode(region, true);
}

function replaceContent(region, fresh) {
  const focusable = [...byName(region, FOCUSABLE)];
  const [focused] = focusable.find(([, one]) => one === document.activeElement) ?? [];
  const open = byName(region, "details");
  const checked = byName(region, BOXES);
  const written = new Map();
  for (const field of region.querySelectorAll("input[id], textarea[id]")) {
    if (field.matches(FORM_FIELDS) && field.value !== field.defaultValue) {
      written.set(field.id, field.value);
    }
  }
  localise(fresh);
  region.replaceChildren(...fresh.childNodes);
  for (const [name, details] of byName(region, "details")) {
    details.open = open.get(name)?.open ?? details.open;
  }
  for (const [name, box] of byName(region, BOXES)) {
    box.checked = checked.get(name)?.checked ?? box.checked;
  }
  for (const [id, value] of written) {
    const field = document.getElementById(id);
    if (field) {
      field.value = value;
    }
  }
  if (focused) {
    byName(region, FOCUSABLE).get(focused)?.focus({ preventScroll: true });
  }
}

// Returns whether all of it is shown now.
function apply(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const [x, y] = [window.scrollX, window.scrollY];
  let isComplete = true;
  for (const region of liveRegions(document)) {
    const replacement = fresh.getElementById(region.id);
    const markup = replacement?.innerHTML;
    if (replacement === null || markup === shown.get(region.id)) {
      continue;
    }
    if (isInUse(region)) {
      isComplete = false;
      continue;
    }
    replaceContent(region, replacement);
    shown.set(region.id, markup);
  }
  document.title = fresh.title;
  window.scrollTo(x, y);
  keepTime();
  return isComplete;
}

async function ask() {
  const answer = await fetch(window.location.href, {
    headers: { Accept: "text/html", ...(etag && { "If-None-Match": etag }) },
    cache: "no-store",
    redirect: "manual",
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (answer.type === "opaqueredirect" || answer.status === 401) {
    throw new Error("you are no longer logged in. Reload the page");
  }
  if (answer.status === 304) {
    return;
  }
  if (!answer.ok) {
    throw new Error(`the relay answered ${answer.status}. Reload the page to see why`);
  }
  const seen = answer.headers.get("ETag");
  etag = apply(await answer.text()) ? seen : null;
}

function say(text) {
  const currency = document.getElementById("currency");
  if (currency.textContent !== text) {
    currency.textContent = text;
  }
}

async function look() {
  if (isLooking || document.hidden) {
    return;
  }
  window.clearTimeout(timer);
  isLooking = true;
  try {
    await ask();
    say(failures ? "Current again." : "");
    failures = 0;
    lastSeen = Date.now();
  } catch (error) {
    failures += 1;
    const reason = error instanceof TypeError || error.name === "TimeoutError"
      ? "the relay does not answer" : error.message;
    say(`Not current since ${local.format(lastSeen)}: ${reason}.`);
  }
  isLooking = false;
  wait();
}

function wait() {
  window.clearTimeout(timer);
  if (!document.hidden) {
    timer = window.setTimeout(look, Math.min(EVERY * 2 ** failures, AT_MOST));
  }
}

for (const region of liveRegions(document)) {
  shown.set(region.id, region.innerHTML);
}
tellZone();
localise(document);
keepTime();
window.setInterval(keepTime, 1000);
if (shown.size) {
  document.addEventListener("visibilitychange", () => {
    keepTime();
    look();
  });
  window.addEventListener("online", look);
  wait();
}
