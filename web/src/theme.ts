// Sets the theme before the first paint. "auto" is the absence of data-theme: Bulma then follows the system.

try {
  const chosen = localStorage.getItem("vidcompute.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
} catch {
  // Storage is closed to this page: the system's theme is a fine answer.
}
