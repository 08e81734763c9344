/** The number at the start of a cell's text, such as `91.0 ± 0.9` or `−1.2`; null where there is none. */
function leadingNumber(text) {
  const number = Number.parseFloat(text.replace("−", "-").replace(/,/g, ""));
  return Number.isNaN(number) ? null : number;
}

/** Sort a table that is in the page as it is by a column: cells without a number come last, whichever way. */
function sortTold(table, heading, column) {
  const down = heading.getAttribute("aria-sort") === "ascending";
  const rows = [...table.tBodies[0].rows];
  const text = (row) => row.cells[column].textContent.trim();
  const numbers = rows.some((row) => leadingNumber(text(row)) !== null);
  const value = (row) => (numbers ? leadingNumber(text(row)) : text(row).toLowerCase());
  const order = down ? d3.descending : d3.ascending;
  rows.sort((a, b) => (value(a) === null) - (value(b) === null) || order(value(a), value(b)));
  for (const other of table.tHead.rows[0].cells) {
    other.removeAttribute("aria-sort");
    other.querySelector(".arrow").textContent = "";
  }
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  heading.querySelector(".arrow").textContent = down ? "▼" : "▲";
  table.tBodies[0].append(...rows);
}

/** Give every heading of such a table a button that sorts, and its metric's meaning. */
function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const title = heading.textContent;
    const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
    const sort = { type: "button", title: MEANINGS[title], onclick: () => sortTold(table, heading, column) };
    heading.replaceChildren(h("button", sort, title, arrow));
  });
}

document.querySelectorAll("table.told").forEach(makeSortable);
