/** A file that is dropped where nothing takes it would be opened by the browser, in the page's place. */
export function refuseStrayFiles(): void {
  for (const type of ["dragover", "drop"] as const) {
    addEventListener(type, (event) => {
      if (!event.defaultPrevented && event.dataTransfer?.types.includes("Files")) {
        event.preventDefault();
        event.dataTransfer.dropEffect = "none";
      }
    });
  }
}
