import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { CloseIcon } from "./icons";
import "./dialog.css";

interface DialogProps {
  title: string;
  onClose(): void;
  children?: ComponentChildren;
  /** Buttons, the one that is most likely meant last. */
  actions?: ComponentChildren;
  testId?: string;
  /** What is inside takes the focus (`autofocus`); else nothing does, and one reads. */
  hasFocus?: boolean;
}

/** A modal dialog, open while it is there. Escape and a press beside it close it; the focus goes back to where it was. */
export function Dialog({ title, onClose, children, actions, testId, hasFocus = false }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      dialog.current?.close();
      if (before instanceof HTMLElement && before.isConnected) {
        before.focus();
      }
    };
  }, []);
  return (
    <dialog
      ref={dialog} class="dialog" aria-labelledby={heading} data-testid={testId} autofocus={!hasFocus} tabIndex={-1}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => event.target === dialog.current && onClose()}
    >
      <div class="dialog__frame">
        <header class="dialog__head">
          <h2 id={heading}>{title}</h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}><CloseIcon /></button>
        </header>
        <div class="dialog__body">{children}</div>
        {actions && <footer class="dialog__actions">{actions}</footer>}
      </div>
    </dialog>
  );
}
