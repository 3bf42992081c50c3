import { usePermissions } from "signalbox-client/preact";

export function PendingPage() {
  const { items } = usePermissions();
  return <main data-testid="pending-page">{items.size} waiting</main>;
}
