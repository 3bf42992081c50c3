// Before anything is drawn: the colours that were chosen in this browser (src/shell/theme.ts).
try {
  const choice = localStorage.getItem("signalbox:theme");
  if (choice === "light" || choice === "dark") {
    document.documentElement.dataset.theme = choice;
  }
} catch {
  // Without storage it is as the system says.
}
