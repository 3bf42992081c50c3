import { Dialog } from "../ui/dialog";
import "./help-dialog.css";

const SHORTCUTS: [string, string[]][] = [
  ["Next, previous session in the list", ["j", "k"]],
  ["Open the session", ["Enter"]],
  ["Search sessions", ["/"]],
  ["New session", ["n"]],
  ["Everything that waits for an answer", ["g w"]],
  ["Sessions, rules, settings", ["g s", "g r", "g ,"]],
  ["Write a prompt", ["i"]],
  ["From where one writes to what is asked", ["Alt+a"]],
  ["Allow what is asked once, reject it", ["a", "r"]],
  ["One of its options, as numbered", ["1", "2"]],
  ["Stop what the agent does", ["Esc Esc"]],
  ["This help", ["?"]],
];

/** The keys of the page, as a table. */
export function ShortcutTable() {
  return (
    <table class="shortcuts">
      <tbody>
        {SHORTCUTS.map(([what, keys]) => (
          <tr key={what}>
            <th scope="row">{what}</th>
            <td>{keys.map((name) => <span key={name} class="shortcuts__key">{name.split(" ").map((key) => <kbd key={key} class="kbd">{key}</kbd>)}</span>)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function HelpDialog({ onClose }: { onClose(): void }) {
  return <Dialog title="Keyboard shortcuts" onClose={onClose} testId="help-dialog"><ShortcutTable /></Dialog>;
}
