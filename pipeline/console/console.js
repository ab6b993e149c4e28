// Keeps the overview up to date. Without it every page works as well; the overview is then loaded anew by the browser.
"use strict";

const FIGURES_EVERY_MS = 2000;
const DAY_EVERY_MS = 60000;

function each(attribute, values, set) {
  for (const place of document.querySelectorAll(`[data-${attribute}]`)) {
    const value = values?.[place.getAttribute(`data-${attribute}`)];
    if (value !== undefined) set(place, value);
  }
}

function put(told) {
  each("live", told.text, (place, text) => {
    if (place.textContent !== text) place.textContent = text;
  });
  each("live-state", told.state, (place, state) => place.setAttribute("data-state", state));
  each("live-width", told.width, (place, width) => {
    place.setAttribute("width", (width * Number(place.getAttribute("data-full"))) / 100);
  });
  // Parts of the page as the server makes them, escaped there. One that has the focus stays until it has it no more.
  each("live-html", told.html, (place, html) => {
    if (place.shown !== html && !place.contains(document.activeElement)) place.innerHTML = place.shown = html;
  });
}

function keepUp(path, every, tell) {
  async function ask() {
    if (!document.hidden) {
      try {
        const answer = await fetch(path, { cache: "no-store" });
        if (answer.status === 401) return location.reload();
        if (!answer.ok) throw new Error(answer.statusText);
        put(await answer.json());
        tell(true);
      } catch {
        tell(false);
      }
    }
    setTimeout(ask, every);
  }
  setTimeout(ask, every);
}

const pulse = document.querySelector("[data-pulse]");
if (pulse) {
  let last = new Date();
  const time = () => last.toISOString().slice(11, 19);
  const tell = (isThere) => {
    if (isThere) last = new Date();
    document.body.toggleAttribute("data-stale", !isThere);
    pulse.textContent = isThere ? `live, ${time()} UTC` : `no answer since ${time()} UTC`;
  };
  tell(true);
  keepUp("/figures", FIGURES_EVERY_MS, tell);
  keepUp("/day", DAY_EVERY_MS, () => {});
}
