// Files that are dragged anywhere over the page of a session go to its composer.
import { useEffect, useRef } from "preact/hooks";
import { toast } from "../ui/toast";

const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") === true;

export function useFileDrop(place: { current: HTMLElement | null }, over: (isOver: boolean) => void, drop: (files: File[]) => void): void {
  const current = useRef({ over, drop });
  current.current = { over, drop };
  useEffect(() => {
    let depth = 0;
    const entered = (event: DragEvent) => {
      if (hasFiles(event)) {
        event.preventDefault();
        depth++;
        current.current.over(true);
      }
    };
    const left = (event: DragEvent) => {
      if (hasFiles(event) && --depth <= 0) {
        depth = 0;
        current.current.over(false);
      }
    };
    const moved = (event: DragEvent) => hasFiles(event) && event.preventDefault();
    const dropped = (event: DragEvent) => {
      depth = 0;
      current.current.over(false);
      if (!hasFiles(event) || !place.current?.isConnected) {
        return;
      }
      event.preventDefault();
      const items = [...(event.dataTransfer?.items ?? [])];
      const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
      const files = items.filter((item) => item.kind === "file" && !item.webkitGetAsEntry?.()?.isDirectory).flatMap((item) => item.getAsFile() ?? []);
      if (folders > 0) {
        toast("Folders cannot be attached; files can.");
      }
      current.current.drop(files);
    };
    const pairs = [["dragenter", entered], ["dragleave", left], ["dragover", moved], ["drop", dropped]] as const;
    pairs.forEach(([name, listener]) => document.addEventListener(name, listener as EventListener));
    return () => pairs.forEach(([name, listener]) => document.removeEventListener(name, listener as EventListener));
  }, []);
}
