"use strict";
(() => {
/** An element. Children that are no elements become text, never markup; attributes that are null or false are left out. */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A name that breaks behind its separators, so that no word in it is torn. */
const breakable = (name) => name.split(/(?<=[-+_/:,(])/).flatMap((piece, index) => (index ? [h("wbr"), piece] : [piece]));

const byId = (id) => document.getElementById(id);

/** The value of the chosen radio button of a name. */
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

/** A table: `head` holds texts, `rows` texts or elements; the first cell of a row is its heading. */
function simpleTable(caption, head, rows) {
  const heading = (text, index) => h("th", { scope: "col", class: index ? "number wrapped" : null }, breakable(text));
  const cell = (content, index) =>
    content instanceof HTMLTableCellElement
      ? content
      : h(index ? "td" : "th", index ? { class: "number" } : { scope: "row" }, content);
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h(
      "table",
      null,
      h("caption", { class: "unseen" }, caption),
      h("thead", null, h("tr", null, head.map(heading))),
      h(
        "tbody",
        null,
        rows.map((row) => h("tr", null, row.map(cell))),
      ),
    ),
  );
}

/** A button that copies a text and says so. */
function copyButton(text, label) {
  const button = h("button", { type: "button", class: "quiet" }, label);
  const said = h("span", { class: "pale", role: "status" });
  button.addEventListener("click", async () => {
    said.textContent = (await copied(text)) ? "Copied" : "Not copied: select the text and copy it yourself";
  });
  return h("span", { class: "copy" }, button, said);
}

/** Whether the clipboard took the text: pages opened from disk have the old way only. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "unseen", "aria-hidden": "true", tabindex: "-1" }, text);
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

const THEME = "adbench-theme";

/** The theme that was chosen on an earlier visit; a browser may forbid to remember it. */
function rememberedTheme() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null;
  }
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // the choice holds for this visit
  }
}

const remembered = document.querySelector(
  `#theme input[value="${["light", "dark"].find((name) => name === rememberedTheme()) ?? "auto"}"]`,
);
remembered.checked = true;
setTheme(remembered.value);
byId("theme").addEventListener("change", () => setTheme(chosen("theme")));
})();
