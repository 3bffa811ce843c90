import { CommandRegistry } from '@lumino/commands';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { daysAgo, idLength } from './format';
import { useClock, useModel } from './hooks';
import { CovalentModel, StateFilter } from './model';
import { Notice } from './notices';
import { Row } from './row';
import { hasEnded } from './states';
import { DispatchRow } from './types';

interface Props {
  model: CovalentModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

interface Group {
  title: string;
  rows: DispatchRow[];
}

/** Search, chips, and the dispatches in groups. */
export function Dispatches({ model, commands, trans }: Props): JSX.Element {
  useModel(model);
  const [hovered, setHovered] = React.useState(false);
  const visible = model.visible();
  const { groups, held, release } = useStill(grouped(visible, model.now(), trans), hovered, model);
  const now = useClock(model, visible.some(row => !hasEnded(row)));
  const rows = rowsOf(groups);
  const length = idLength(rows);
  const known = model.totals.all > 0 || rows.length > 0;
  return (
    <div className="jp-Covalent-body">
      {known && <FilterBar model={model} trans={trans} />}
      <div
        className="jp-Covalent-list"
        onMouseEnter={() => setHovered(true)}
        onMouseLeave={() => setHovered(false)}
      >
        {held > 0 && (
          <div className="jp-Covalent-held">
            <button onClick={release}>{trans._n('%1 new dispatch', '%1 new dispatches', held)}</button>
          </div>
        )}
        {rows.length === 0 && <Notice model={model} trans={trans} />}
        {groups.map(group => (
          <section key={group.title} aria-label={group.title}>
            <h3>{group.title}</h3>
            <ul>
              {group.rows.map(row => (
                <Row
                  key={row.dispatch_id}
                  row={row}
                  idLength={length}
                  now={now}
                  cancelling={model.isCancelling(row.dispatch_id)}
                  commands={commands}
                  trans={trans}
                />
              ))}
            </ul>
          </section>
        ))}
        {model.hasOlder && (
          <button className="jp-Covalent-button jp-Covalent-older" onClick={() => void model.showOlder()}>
            {trans.__('Show older')}
          </button>
        )}
      </div>
    </div>
  );
}

function FilterBar({ model, trans }: Omit<Props, 'commands'>): JSX.Element {
  const { all, running, failed } = model.totals;
  const chips: [StateFilter, string][] = [
    ['all', trans.__('All %1', all)],
    ['running', trans.__('Running %1', running)],
    ['failed', trans.__('Failed %1', failed)]
  ];
  return (
    <div className="jp-Covalent-filter">
      <input
        type="search"
        value={model.filter.text}
        placeholder={trans.__('Search name, id, tag, error')}
        aria-label={trans.__('Search dispatches')}
        onChange={event => model.setFilter({ text: event.target.value })}
      />
      <div className="jp-Covalent-chips">
        {chips.map(([state, words]) => (
          <button
            key={state}
            aria-pressed={model.filter.state === state}
            onClick={() => model.setFilter({ state })}
          >
            {words}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Those under way, then one group a day; the order within is kept. */
function grouped(rows: DispatchRow[], now: number, trans: TranslationBundle): Group[] {
  const groups: Group[] = [];
  for (const row of rows) {
    const title = hasEnded(row) ? day(row.created, now, trans) : trans.__('Running');
    const last = groups[groups.length - 1];
    if (last?.title === title) {
      last.rows.push(row);
    } else {
      groups.push({ title, rows: [row] });
    }
  }
  return groups;
}

function day(seconds: number, now: number, trans: TranslationBundle): string {
  const days = daysAgo(seconds, now);
  if (days <= 0) {
    return trans.__('Today');
  }
  return days === 1 ? trans.__('Yesterday') : new Date(seconds * 1000).toLocaleDateString();
}

interface Still {
  groups: Group[];
  /** New rows that are not shown yet. */
  held: number;
  release: () => void;
}

/**
 * The same groups, but nothing moves under the pointer: while it is over the list, rows keep their places and show their
 * new state, and new ones are held back and counted. Typing, a chip and "Show older" count as asking for another order.
 */
function useStill(groups: Group[], hovered: boolean, model: CovalentModel): Still {
  const shown = React.useRef<{ groups: Group[]; filter: unknown }>();
  const [, draw] = React.useReducer((n: number) => n + 1, 0);
  const release = () => {
    shown.current = undefined;
    draw();
  };
  const before = rowsOf(shown.current?.groups ?? []);
  const places = new Set(before.map(row => row.dispatch_id));
  const fresh = rowsOf(groups).filter(row => !places.has(row.dispatch_id));
  const oldest = Math.min(...before.map(row => row.created));
  const asked = shown.current?.filter !== model.filter || fresh.some(row => row.created < oldest);
  if (!hovered || before.length === 0 || asked || !shown.current) {
    shown.current = { groups, filter: model.filter };
    return { groups, held: 0, release };
  }
  const still = shown.current.groups
    .map(({ title, rows }) => ({ title, rows: rows.flatMap(row => model.row(row.dispatch_id) ?? []) }))
    .filter(group => group.rows.length > 0);
  return { groups: still, held: fresh.length, release };
}

function rowsOf(groups: Group[]): DispatchRow[] {
  return groups.flatMap(group => group.rows);
}
