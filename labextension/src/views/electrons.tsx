import * as React from 'react';

import { DispatchModel, MOST_ROWS } from '../dispatch';
import { ElectronRow, Status } from '../types';
import { Column, columnsOf, lengthsOf, sorted, Sorting, USUAL } from './columns';
import { Trans, useTrans } from './context';
import { isEnded } from '../states';
import { useClock, useModel } from './hooks';
import { Empty } from './parts';
import { deletedWords } from './pending';
import { VirtualHandle, VirtualList } from './virtual';

const ROW = 24;
/** Time without a keystroke after which the service is asked to search, in ms. */
const SEARCH_AFTER = 250;

export type StateFilter = 'all' | 'waiting' | 'running' | 'completed' | 'failed' | 'stopped';

const STATES: Record<StateFilter, readonly Status[]> = {
  all: [],
  waiting: ['NEW_OBJECT', 'PENDING_REUSE', 'DISPATCHING'],
  running: ['RUNNING'],
  completed: ['COMPLETED'],
  failed: ['FAILED'],
  stopped: ['CANCELLED', 'SKIPPED']
};

interface Props {
  model: DispatchModel;
  chosen: number | null;
  onChoose: (node: number) => void;
  /** Columns, filter and order, kept by whoever shows the table. */
  view?: TableView;
  onView?: (view: TableView) => void;
}

export interface TableView {
  columns: string[];
  sorting: Sorting;
  text: string;
  state: StateFilter;
}

export const USUAL_VIEW: TableView = {
  columns: USUAL,
  sorting: { column: 'node', descending: false },
  text: '',
  state: 'all'
};

/** The electrons of a dispatch: sorted, filtered, with the columns that were chosen; ten thousand of them without lag. */
export function ElectronTable({ model, chosen, onChoose, view, onView }: Props): JSX.Element {
  useModel(model);
  React.useEffect(() => model.want('electrons', 'graph'), [model]);
  const trans = useTrans();
  const [own, setOwn] = React.useState<TableView>(USUAL_VIEW);
  const shown = view ?? own;
  const change = (part: Partial<TableView>) => (onView ?? setOwn)({ ...shown, ...part });
  const all = React.useMemo(() => {
    const inputs = (node: number) => model.inputsOf(node);
    return columnsOf(trans, inputs, node => model.givenOf(node), lengthsOf(model.graph, inputs));
  }, [trans, model, model.graph]);
  const columns = all.filter(column => shown.columns.includes(column.id));
  const now = useClock(() => model.now(), !!model.row && !isEnded(model.row.status));
  const [hovered, setHovered] = React.useState(false);
  const rows = useRows(model, shown, all, now, hovered);
  useSearch(model, shown);
  return (
    <div className="cv-electrons" onMouseEnter={() => setHovered(true)} onMouseLeave={() => setHovered(false)}>
      <FilterBar model={model} view={shown} change={change} all={all} matches={rows.length} trans={trans} />
      <Rows
        rows={rows}
        columns={columns}
        sorting={shown.sorting}
        onSort={sorting => change({ sorting })}
        chosen={chosen}
        onChoose={onChoose}
        now={now}
        trans={trans}
        empty={emptyWords(model, trans)}
      />
    </div>
  );
}

function emptyWords(model: DispatchModel, trans: Trans): string {
  if (model.electrons.size === 0 && model.total > 0) {
    return model.presence === 'deleted' ? deletedWords(model, trans) : model.problem || trans.__('Loading electrons…');
  }
  return model.total === 0 ? trans.__('This dispatch has no electrons.') : trans.__('No electron matches.');
}

/** The rows that pass, in order. While the pointer is over them, none changes its place. */
function useRows(
  model: DispatchModel,
  view: TableView,
  columns: Column[],
  now: number,
  hovered: boolean
): ElectronRow[] {
  const still = React.useRef<{ view: TableView; order: number[] }>();
  const { text, state, sorting } = view;
  // times tell only while something runs: the order is made anew with the rows, not with the clock
  return React.useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const states = STATES[state];
    const passes = (row: ElectronRow) =>
      (states.length === 0 || states.includes(row.status)) && (wanted === '' || tells(row, wanted, model));
    const passing = [...model.electrons.values()].filter(passes);
    const kept = still.current;
    let rows: ElectronRow[];
    if (hovered && kept && kept.view.sorting === sorting && kept.view.text === text && kept.view.state === state) {
      const place = new Map(kept.order.map((node, index) => [node, index]));
      const last = kept.order.length;
      rows = passing.sort((a, b) => (place.get(a.node) ?? last + a.node) - (place.get(b.node) ?? last + b.node));
    } else {
      rows = sorted(passing, sorting, columns, now);
    }
    still.current = { view, order: rows.map(row => row.node) };
    return rows;
  }, [model, model.revision, text, state, sorting, columns, hovered]);
}

function tells(row: ElectronRow, wanted: string, model: DispatchModel): boolean {
  return (
    row.name.toLowerCase().includes(wanted) ||
    String(row.node) === wanted ||
    model.givenOf(row.node).toLowerCase().includes(wanted) ||
    (row.error !== null && `${row.error.type}: ${row.error.message}`.toLowerCase().includes(wanted))
  );
}

/** Of a dispatch with more electrons than are kept here, the service knows the rest. */
function useSearch(model: DispatchModel, { text, state }: TableView): void {
  React.useEffect(() => {
    if (model.complete || model.total <= MOST_ROWS || (text.trim() === '' && state === 'all')) {
      return;
    }
    const timer = window.setTimeout(() => void model.find(text.trim(), STATES[state]).catch(() => []), SEARCH_AFTER);
    return () => window.clearTimeout(timer);
  }, [model, text, state]);
}

interface FilterProps {
  model: DispatchModel;
  view: TableView;
  change: (part: Partial<TableView>) => void;
  all: Column[];
  matches: number;
  trans: Trans;
}

function FilterBar({ model, view, change, all, matches, trans }: FilterProps): JSX.Element {
  const counts = model.row?.counts ?? {};
  const chips: [StateFilter, string, number][] = [
    ['all', trans.__('All'), model.total],
    ['running', trans.__('Running'), counts.running ?? 0],
    ['waiting', trans.__('Waiting'), (counts.waiting ?? 0) + (counts.queued ?? 0)],
    ['completed', trans.__('Completed'), counts.completed ?? 0],
    ['failed', trans.__('Failed'), counts.failed ?? 0],
    ['stopped', trans.__('Cancelled or skipped'), (counts.cancelled ?? 0) + (counts.skipped ?? 0)]
  ];
  const partly = !model.complete && model.total > MOST_ROWS;
  return (
    <div className="cv-toolbar">
      <input
        type="search"
        className="cv-search"
        value={view.text}
        placeholder={trans.__('Name, input, error, node')}
        aria-label={trans.__('Filter electrons')}
        onChange={event => change({ text: event.target.value })}
      />
      <div className="cv-chips" role="group" aria-label={trans.__('States')}>
        {chips
          .filter(([id, , n]) => id === 'all' || n > 0 || view.state === id)
          .map(([id, words, n]) => (
            <button key={id} aria-pressed={view.state === id} onClick={() => change({ state: id })}>
              {words} {n}
            </button>
          ))}
      </div>
      <span className="cv-space" />
      <span className="cv-mute" aria-live="polite">
        {partly && trans.__('%1 of %2 loaded; filter to find others', model.electrons.size, model.total)}
        {!partly && (view.text || view.state !== 'all') && trans.__('%1 match', matches)}
      </span>
      <ColumnChooser all={all} chosen={view.columns} onChange={columns => change({ columns })} trans={trans} />
    </div>
  );
}

interface ChooserProps {
  all: Column[];
  chosen: string[];
  onChange: (columns: string[]) => void;
  trans: Trans;
}

function ColumnChooser({ all, chosen, onChange, trans }: ChooserProps): JSX.Element {
  const toggle = (id: string) =>
    onChange(chosen.includes(id) ? chosen.filter(other => other !== id) : [...chosen, id]);
  return (
    <details className="cv-chooser">
      <summary className="cv-button">{trans.__('Columns')} ▾</summary>
      <fieldset className="cv-menu">
        <legend className="cv-hidden">{trans.__('Columns of the table')}</legend>
        {all.map(column => (
          <label key={column.id}>
            <input
              type="checkbox"
              checked={chosen.includes(column.id)}
              disabled={column.id === 'name'}
              onChange={() => toggle(column.id)}
            />{' '}
            {column.label}
          </label>
        ))}
      </fieldset>
    </details>
  );
}

interface RowsProps {
  rows: ElectronRow[];
  columns: Column[];
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
  chosen: number | null;
  onChoose: (node: number) => void;
  now: number;
  trans: Trans;
  empty: string;
}

function Rows(props: RowsProps): JSX.Element {
  const { rows, columns, sorting, onSort, chosen, onChoose, now, trans, empty } = props;
  const list = React.useRef<VirtualHandle>(null);
  const tracks = columns.map(column => column.track).join(' ');
  const at = rows.findIndex(row => row.node === chosen);
  React.useEffect(() => {
    if (at >= 0) {
      list.current?.reveal(at);
    }
  }, [chosen]);
  const onKeyDown = (event: React.KeyboardEvent) => {
    const page = 15;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + page, PageUp: at - page }[
      event.key
    ];
    if (to === undefined || rows.length === 0 || (event.target as HTMLElement).tagName === 'BUTTON') {
      return;
    }
    event.preventDefault();
    const index = Math.min(rows.length - 1, Math.max(0, to));
    onChoose(rows[index].node);
    list.current?.reveal(index);
  };
  const header = (
    <div className="cv-row cv-headRow" role="row" style={{ gridTemplateColumns: tracks }}>
      {columns.map(column => (
        <Heading key={column.id} column={column} sorting={sorting} onSort={onSort} />
      ))}
    </div>
  );
  return (
    <VirtualList
      ref={list}
      className="cv-table"
      count={rows.length}
      rowHeight={ROW}
      header={rows.length > 0 ? header : <Empty>{empty}</Empty>}
      attributes={{
        role: 'grid',
        tabIndex: 0,
        'aria-label': trans.__('Electrons'),
        'aria-rowcount': rows.length + 1,
        'aria-activedescendant': at >= 0 ? `cv-electron-${chosen}` : undefined,
        onKeyDown
      }}
      renderRow={index => {
        const row = rows[index];
        return (
          <div
            key={row.node}
            id={`cv-electron-${row.node}`}
            role="row"
            aria-rowindex={index + 2}
            aria-selected={row.node === chosen}
            data-node={row.node}
            data-status={row.status}
            className={`cv-row ${row.node === chosen ? 'cv-chosen' : ''}`}
            style={{ gridTemplateColumns: tracks }}
            onClick={() => onChoose(row.node)}
          >
            {columns.map(column => (
              <span
                key={column.id}
                role="gridcell"
                className={column.number ? 'cv-cell cv-number' : 'cv-cell'}
                title={column.title?.(row)}
              >
                {column.cell(row, now)}
              </span>
            ))}
          </div>
        );
      }}
    />
  );
}

function Heading({ column, sorting, onSort }: { column: Column; sorting: Sorting; onSort: RowsProps['onSort'] }): JSX.Element {
  const mine = sorting.column === column.id;
  const order = mine ? (sorting.descending ? 'descending' : 'ascending') : 'none';
  return (
    <span role="columnheader" aria-sort={order} className={column.number ? 'cv-cell cv-number' : 'cv-cell'}>
      <button onClick={() => onSort({ column: column.id, descending: mine && !sorting.descending })}>
        {column.label}
        {mine && <span aria-hidden="true">{sorting.descending ? ' ↓' : ' ↑'}</span>}
      </button>
    </span>
  );
}

