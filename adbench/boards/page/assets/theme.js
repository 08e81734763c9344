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
