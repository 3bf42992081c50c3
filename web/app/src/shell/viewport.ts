// Where a virtual keyboard lies over the page instead of making it smaller (iOS), the page makes itself smaller: the place to
// write and what is asked stay above it. Elsewhere `interactive-widget=resizes-content` does it, and this finds nothing to do.
export function keepHeight(): void {
  const viewport = window.visualViewport;
  if (!viewport) {
    return;
  }
  const fit = () => {
    const isZoomed = viewport.scale > 1.01;
    const isCovered = innerHeight - viewport.height > 80;
    if (isCovered && !isZoomed) {
      document.documentElement.style.setProperty("--app-height", `${viewport.height}px`);
      scrollTo(0, 0);
    } else {
      document.documentElement.style.removeProperty("--app-height");
    }
  };
  viewport.addEventListener("resize", fit);
  viewport.addEventListener("scroll", fit);
}
