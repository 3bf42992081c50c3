// Icons: strokes of the text's colour on a grid of 16. They say nothing to screen readers; what carries one has a name.
import type { ComponentChildren } from "preact";

export interface IconProps {
  /** Pixels; 16. */
  size?: number;
  class?: string;
}

const icon = (children: ComponentChildren) =>
  function Icon({ size = 16, class: className }: IconProps) {
    return (
      <svg
        width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5"
        stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false" class={className}
      >
        {children}
      </svg>
    );
  };

export const PlusIcon = icon(<path d="M8 3v10M3 8h10" />);
export const CloseIcon = icon(<path d="M4 4l8 8M12 4l-8 8" />);
export const CheckIcon = icon(<path d="M3 8.5l3.2 3.2L13 4.8" />);
export const SearchIcon = icon(<><circle cx="7" cy="7" r="4.25" /><path d="M10.2 10.2L13.5 13.5" /></>);
export const ChevronLeftIcon = icon(<path d="M10 3L5 8l5 5" />);
export const ChevronRightIcon = icon(<path d="M6 3l5 5-5 5" />);
export const ChevronDownIcon = icon(<path d="M3 6l5 5 5-5" />);
export const ChevronUpIcon = icon(<path d="M3 10l5-5 5 5" />);
export const ArrowDownIcon = icon(<path d="M8 3v10M3.5 8.5L8 13l4.5-4.5" />);
export const MoreIcon = icon(<path d="M3.5 8h.01M8 8h.01M12.5 8h.01" stroke-width="2" />);
export const InboxIcon = icon(<><path d="M2 9.5h3.3l1 1.7h3.4l1-1.7H14" /><path d="M4 3h8l2 6.5V13H2V9.5z" /></>);
export const ShieldIcon = icon(<path d="M8 1.8l5 1.9v4c0 3.2-2.1 5.4-5 6.5-2.9-1.1-5-3.3-5-6.5v-4z" />);
export const ShieldCheckIcon = icon(<><path d="M8 1.8l5 1.9v4c0 3.2-2.1 5.4-5 6.5-2.9-1.1-5-3.3-5-6.5v-4z" /><path d="M5.7 7.8l1.7 1.7 3-3" /></>);
export const EyeIcon = icon(<><path d="M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8z" /><circle cx="8" cy="8" r="1.8" /></>);
export const AlertIcon = icon(<><path d="M8 2.2l6.3 11.3H1.7z" /><path d="M8 6.5v3.2M8 11.7h.01" /></>);
export const InfoIcon = icon(<><circle cx="8" cy="8" r="6.2" /><path d="M8 7.3v3.7M8 5h.01" /></>);
export const HelpIcon = icon(<><circle cx="8" cy="8" r="6.2" /><path d="M6.2 6.3a1.85 1.85 0 113 1.5c-.8.55-1.2.9-1.2 1.7M8 11.5h.01" /></>);
export const ClockIcon = icon(<><circle cx="8" cy="8" r="6.2" /><path d="M8 4.5V8l2.3 1.5" /></>);
export const ColumnsIcon = icon(<><rect x="2" y="3" width="12" height="10" rx="1.5" /><path d="M8 3v10" /></>);
export const LinkIcon = icon(<><path d="M6.7 9.3a2.7 2.7 0 003.9 0l2-2a2.76 2.76 0 00-3.9-3.9l-.9.9" /><path d="M9.3 6.7a2.7 2.7 0 00-3.9 0l-2 2a2.76 2.76 0 003.9 3.9l.9-.9" /></>);
export const CopyIcon = icon(<><rect x="5.5" y="5.5" width="8" height="8" rx="1.5" /><path d="M10.5 5.5V4A1.5 1.5 0 009 2.5H4A1.5 1.5 0 002.5 4v5A1.5 1.5 0 004 10.5h1.5" /></>);
export const FolderIcon = icon(<path d="M1.8 12.2V4a1 1 0 011-1h3.4l1.5 1.8h5.5a1 1 0 011 1v6.4a1 1 0 01-1 1H2.8a1 1 0 01-1-1z" />);
export const FileIcon = icon(<path d="M9.5 1.8H4.3a.8.8 0 00-.8.8v10.8c0 .44.36.8.8.8h7.4a.8.8 0 00.8-.8V4.8zM9.5 1.8v3h3" />);
export const ImageIcon = icon(<><rect x="2" y="2.5" width="12" height="11" rx="1.5" /><circle cx="5.7" cy="6" r="1.1" /><path d="M2.5 12l3.7-3.7 2 2L10.5 8l3.3 3.3" /></>);
export const PaperclipIcon = icon(<path d="M13 7.5l-5.2 5.2a3.2 3.2 0 01-4.5-4.5l5.5-5.5a2.1 2.1 0 013 3L6.4 11a1 1 0 01-1.5-1.5l4.8-4.7" />);
export const SendIcon = icon(<path d="M8 13V3M3.5 7.5L8 3l4.5 4.5" />);
export const StopIcon = icon(<rect x="4" y="4" width="8" height="8" rx="1.2" fill="currentColor" />);
export const PlayIcon = icon(<path d="M5 3.2l7.5 4.8L5 12.8z" />);
export const RefreshIcon = icon(<path d="M13.5 8a5.5 5.5 0 11-1.6-3.9M13.5 1.8v3h-3" />);
export const OfflineIcon = icon(<path d="M2 2l12 12M5.2 9.8a4 4 0 014-1M3 7.5a7 7 0 012.5-1.6M7.8 5a7 7 0 015.2 2.5M8 12.5h.01" />);
export const SunIcon = icon(<><circle cx="8" cy="8" r="2.8" /><path d="M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9" /></>);
export const MoonIcon = icon(<path d="M13.5 9.7A5.8 5.8 0 016.3 2.5a5.8 5.8 0 107.2 7.2z" />);
export const MonitorIcon = icon(<><rect x="1.8" y="2.5" width="12.4" height="8.5" rx="1.2" /><path d="M5.5 13.5h5M8 11v2.5" /></>);
export const SettingsIcon = icon(<><path d="M2 4.5h6.5M12 4.5h2M2 11.5h2M7.5 11.5H14" /><circle cx="10.2" cy="4.5" r="1.7" /><circle cx="5.8" cy="11.5" r="1.7" /></>);
export const SignOutIcon = icon(<path d="M6.5 2.5H3v11h3.5M6 8h8M11 5l3 3-3 3" />);
export const ListIcon = icon(<path d="M5.5 4H14M5.5 8H14M5.5 12H14M2.3 4h.01M2.3 8h.01M2.3 12h.01" />);
export const PencilIcon = icon(<path d="M2.5 13.5l.7-3L10.7 3a1.4 1.4 0 012 0l.3.3a1.4 1.4 0 010 2L5.5 12.8z" />);
