import * as React from 'react';

export interface Tab {
  id: string;
  label: string;
  /** A number after the label. */
  count?: number;
  tone?: 'failed';
}

interface Props {
  tabs: readonly Tab[];
  chosen: string;
  onChoose: (id: string) => void;
  label: string;
  /** Makes the ids of tabs and panel differ from those of other views on the page. */
  prefix: string;
}

/** A row of tabs: arrow keys, Home and End move between them. Its panel is `TabPanel`. */
export function Tabs({ tabs, chosen, onChoose, label, prefix }: Props): JSX.Element {
  const row = React.useRef<HTMLDivElement>(null);
  const onKeyDown = (event: React.KeyboardEvent) => {
    const at = tabs.findIndex(tab => tab.id === chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) {
      return;
    }
    event.preventDefault();
    const index = (to + tabs.length) % tabs.length;
    onChoose(tabs[index].id);
    row.current?.querySelectorAll<HTMLElement>('[role=tab]')[index]?.focus();
  };
  return (
    <div className="cv-tabs" role="tablist" aria-label={label} ref={row} onKeyDown={onKeyDown}>
      {tabs.map(tab => (
        <button
          key={tab.id}
          id={`${prefix}-tab-${tab.id}`}
          role="tab"
          aria-selected={tab.id === chosen}
          aria-controls={`${prefix}-panel`}
          tabIndex={tab.id === chosen ? 0 : -1}
          className={tab.tone ? `cv-${tab.tone}` : ''}
          onClick={() => onChoose(tab.id)}
        >
          {tab.label}
          {tab.count !== undefined && <span className="cv-count"> {tab.count}</span>}
        </button>
      ))}
    </div>
  );
}

/** What the chosen tab shows. */
export function TabPanel({ prefix, chosen, children }: { prefix: string; chosen: string; children: React.ReactNode }): JSX.Element {
  return (
    <div className="cv-tabPanel" role="tabpanel" id={`${prefix}-panel`} aria-labelledby={`${prefix}-tab-${chosen}`}>
      {children}
    </div>
  );
}
